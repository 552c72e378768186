//! What Dify asks.

use serde_json::Value;

use crate::{MetadataCondition, RetrievalReply};

/// The largest request body: 1 MiB, far above any query.
pub const MAX_REQUEST_BYTES: u64 = 1024 * 1024;

/// How many records are sought when the request does not say: with a data set that was made by Dify's own API,
/// `top_k` is null.
const DEFAULT_TOP_K: u32 = 4;

/// A request's body.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Dify's check of a new setting: no body, or in newer releases one with an empty query.
    Probe,
    /// A query.
    Query(Query),
}

/// One query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The external knowledge ID as typed in Dify; may be empty.
    pub knowledge_id: String,
    /// The text; never blank.
    pub text: String,
    /// How many records at most; at least 1.
    pub top_k: u32,
    /// The least score, finite. 0 or less: off.
    pub score_threshold: f64,
    /// Which documents may answer.
    pub metadata_condition: Option<MetadataCondition>,
}

impl Request {
    /// Reads a request's body.
    ///
    /// # Errors
    /// The answer: 400, in the contract's form.
    pub fn parse(body: &[u8]) -> Result<Self, RetrievalReply> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::Probe);
        }
        let document = spillway_json::value(body)
            .ok_or_else(|| RetrievalReply::invalid_request("The request's body is not JSON."))?;
        parse(&document).map_err(|message| RetrievalReply::invalid_request(&message))
    }
}

fn parse(document: &Value) -> Result<Request, String> {
    let Value::Object(members) = document else {
        return Err("The request's body must be a JSON object.".to_owned());
    };
    let text = match members.get("query") {
        Some(Value::String(text)) => text,
        _ => return Err("`query` must be text.".to_owned()),
    };
    if text.trim().is_empty() {
        return Ok(Request::Probe);
    }
    let knowledge_id = match members.get("knowledge_id") {
        None | Some(Value::Null) => "",
        Some(Value::String(id)) => id.trim(),
        Some(_) => return Err("`knowledge_id` must be text.".to_owned()),
    };
    let setting = match members.get("retrieval_setting") {
        None | Some(Value::Null) => None,
        Some(Value::Object(setting)) => Some(setting),
        Some(_) => return Err("`retrieval_setting` must be an object.".to_owned()),
    };
    Ok(Request::Query(Query {
        knowledge_id: knowledge_id.to_owned(),
        text: text.clone(),
        top_k: top_k(setting.and_then(|setting| setting.get("top_k")))?,
        score_threshold: score_threshold(
            setting.and_then(|setting| setting.get("score_threshold")),
        )?,
        metadata_condition: MetadataCondition::parse(members.get("metadata_condition"))?,
    }))
}

fn top_k(value: Option<&Value>) -> Result<u32, String> {
    let mistake = || "`retrieval_setting.top_k` must be a whole number from 1 on.".to_owned();
    let number = match value {
        None | Some(Value::Null) => return Ok(DEFAULT_TOP_K),
        Some(Value::Number(number)) => number,
        Some(_) => return Err(mistake()),
    };
    if let Some(whole) = number.as_u64() {
        return match whole {
            0 => Err(mistake()),
            whole => Ok(u32::try_from(whole).unwrap_or(u32::MAX)),
        };
    }
    // `3.0` is what some callers make of 3.
    match number.as_f64() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number of at least 1, and `as` saturates"
        )]
        Some(float) if float >= 1.0 && float.fract() == 0.0 => Ok(float as u32),
        _ => Err(mistake()),
    }
}

fn score_threshold(value: Option<&Value>) -> Result<f64, String> {
    match value {
        None | Some(Value::Null) => Ok(0.0),
        Some(Value::Number(number)) => number
            .as_f64()
            .filter(|threshold| threshold.is_finite())
            .ok_or_else(|| "`retrieval_setting.score_threshold` is out of range.".to_owned()),
        Some(_) => Err("`retrieval_setting.score_threshold` must be a number.".to_owned()),
    }
}

//! Engines that speak Dify's external knowledge API themselves: the contract passed on, the answer put in order.

use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::engine::{not_in_form, readable, status_failure, words};
use crate::failure::{BackendFailure, Rejection, Unreadable};
use crate::record::Record;
use crate::{ErrorCode, MetadataCondition, Query};

/// Below the base URL.
pub(crate) const PATH: &str = "/retrieval";

/// As Dify sends it; `metadata_condition` left out where there is none, as some engines fail on null.
#[derive(Serialize)]
struct Body<'a> {
    knowledge_id: &'a str,
    query: &'a str,
    retrieval_setting: Setting,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_condition: Option<&'a MetadataCondition>,
}

#[derive(Serialize)]
struct Setting {
    top_k: u32,
    score_threshold: f64,
}

/// The body that puts a query.
pub(crate) fn body(query: &Query) -> Vec<u8> {
    let body = Body {
        knowledge_id: &query.knowledge_id,
        query: &query.text,
        retrieval_setting: Setting {
            top_k: query.top_k,
            score_threshold: query.score_threshold,
        },
        metadata_condition: query.metadata_condition.as_ref(),
    };
    // Texts, finite numbers and lists of them: writing those cannot fail.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// An answer or an error; engines have been seen to write the latter in either form.
#[derive(Deserialize)]
struct Document {
    /// Null, as Go writes an empty list, is a list as well.
    #[serde(default, deserialize_with = "present")]
    records: Option<Option<Items>>,
    #[serde(default)]
    error_code: Value,
    #[serde(default)]
    error_msg: Value,
    #[serde(default)]
    code: Value,
    #[serde(default)]
    message: Value,
}

/// What stands in the place of a record and is none, null for one, costs itself alone.
type Items = Vec<Value>;

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    content: Value,
    #[serde(default)]
    score: Value,
    #[serde(default)]
    title: Value,
    #[serde(default)]
    metadata: Value,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Items>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The records of an answer, in its order.
pub(crate) fn read(status: StatusCode, document: Value) -> Result<Vec<Record>, BackendFailure> {
    let document: Document = serde_json::from_value(document).map_err(|_| not_in_form(status))?;
    if status.is_success()
        && let Some(items) = document.records
    {
        let items: Vec<Item> = readable(items.unwrap_or_default());
        return Ok(items
            .into_iter()
            .filter_map(|item| Record::new(&item.content, &item.score, &item.title, item.metadata))
            .collect());
    }
    Err(error(status, &document))
}

fn error(status: StatusCode, document: &Document) -> BackendFailure {
    let is = |code: ErrorCode| document.error_code.as_i64() == Some(i64::from(code.number()));
    if is(ErrorCode::UnknownKnowledge) {
        return BackendFailure::UnknownKnowledge;
    }
    if is(ErrorCode::AuthorizationFormat) || is(ErrorCode::AuthorizationFailed) {
        return BackendFailure::KeyRefused;
    }
    let code = document
        .error_code
        .as_i64()
        .or_else(|| document.code.as_i64());
    let message = words(&document.error_msg).or_else(|| words(&document.message));
    if status.is_success() && code.is_none() && message.is_none() {
        return BackendFailure::Unreadable(Unreadable::NoRecords);
    }
    match status_failure(status) {
        // A server's own error may tell of its insides, so only words for the caller are passed on.
        BackendFailure::Rejected(_) => BackendFailure::Rejected(Rejection {
            status,
            code,
            message: message.filter(|_| !status.is_server_error()),
        }),
        failure => failure,
    }
}

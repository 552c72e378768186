//! How the model is to think, and which form its answer is to have.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spillway_json::Members;

use super::body::{Body, Member};
use super::content::text_of;
use super::schema::transformed;
use crate::ModelRequest;
use crate::dialect::EncodeError;

/// `thinking` and `output_config`: the client's own where it knows Anthropic's words.
pub(super) fn encode_thoughts(request: &ModelRequest, body: &mut Body) -> Result<(), EncodeError> {
    #[derive(Default, Serialize)]
    struct OutputConfig<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        effort: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Format>,
    }
    #[derive(Serialize)]
    struct Format {
        r#type: &'static str,
        schema: Box<RawValue>,
    }
    let member = |name: &str| Member::of(request, name);
    let effort = member("reasoning_effort").and_then(text_of);
    match (member("thinking"), effort.as_deref()) {
        (Some(own), _) => body.member("thinking", own)?,
        (None, Some("none")) => {
            body.member("thinking", &serde_json::json!({ "type": "disabled" }))?;
        }
        (None, _) => {}
    }
    let mut config = OutputConfig {
        effort: effort.filter(|effort| effort != "none").map(|effort| {
            if effort == "minimal" {
                Cow::Borrowed("low")
            } else {
                effort
            }
        }),
        format: schema_of(member("response_format"))?.map(|schema| Format {
            r#type: "json_schema",
            schema: transformed(schema),
        }),
    };
    if let Some(own) = member("output_config").and_then(Members::of) {
        // The client's own words come first, and what they do not say follows.
        config.effort = config.effort.filter(|_| own.get("effort").is_none());
        config.format = config.format.filter(|_| own.get("format").is_none());
        let further = serde_json::to_string(&config).unwrap_or_default();
        let own = own.written(|_, value| Some(value.get()));
        return body.member("output_config", &*joined(&own, &further)?);
    }
    if config.effort.is_some() || config.format.is_some() {
        body.member("output_config", &config)?;
    }
    Ok(())
}

/// The members of two objects as one.
fn joined(one: &str, other: &str) -> Result<Box<RawValue>, EncodeError> {
    let inner = |object: &str| {
        let inner = object.trim().strip_prefix('{').unwrap_or_default();
        inner
            .strip_suffix('}')
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let parts = [inner(one), inner(other)];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    RawValue::from_string(format!("{{{}}}", parts.join(",")))
        .map_err(|_| EncodeError("`output_config` must be an object.".to_owned()))
}

/// The tokens that thinking may take.
pub(super) fn budget_of(thinking: &RawValue) -> u64 {
    #[derive(Deserialize)]
    struct Thinking {
        #[serde(default)]
        budget_tokens: u64,
    }
    let read: Option<Thinking> = serde_json::from_str(thinking.get()).ok();
    read.map_or(0, |thinking| thinking.budget_tokens)
}

/// The schema that an answer is to fit.
fn schema_of(format: Option<&RawValue>) -> Result<Option<&RawValue>, EncodeError> {
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow, default, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        json_schema: Option<Named<'a>>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        schema: Option<&'a RawValue>,
    }
    let Some(format) = format else {
        return Ok(None);
    };
    let read: Format<'_> = serde_json::from_str(format.get())
        .map_err(|_| EncodeError("`response_format` is none of OpenAI's API.".to_owned()))?;
    match (read.kind.as_ref(), read.json_schema) {
        ("" | "text", _) => Ok(None),
        ("json_schema", Some(Named { schema: Some(schema) })) => Ok(Some(schema)),
        _ => Err(EncodeError(
            "This model takes a `response_format` with a schema alone: send `json_schema`, or ask for JSON in words.".to_owned(),
        )),
    }
}

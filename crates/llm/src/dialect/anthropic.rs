//! Anthropic's Messages API (`POST /v1/messages`), for chats.
//!
//! Members and values by Anthropic's API reference and the types of its Python library 2.14. Where OpenAI's API and this
//! one differ in what a value may be, as Anthropic's own endpoint for OpenAI's clients does it: system messages go to the
//! front, a temperature above 1 is 1, stop sequences of white space are none.

mod answer;
mod body;
mod content;
mod events;
mod messages;
mod output;
mod request;
mod schema;
mod tools;
mod usage;

use spillway_platform::{Headers, Upstream};

use crate::Operation;

pub(super) use answer::decode;
pub(crate) use events::StreamState;
pub(super) use request::{encode, left_out};
pub(crate) use usage::OpenAiUsage;

/// The version of the API, `anthropic-version`: there has been no later one.
const VERSION: &str = "2023-06-01";

pub(super) fn endpoint(operation: Operation, upstream: &Upstream) -> Option<String> {
    (operation == Operation::ChatCompletions).then(|| at(upstream, "messages"))
}

pub(super) fn probe(upstream: &Upstream) -> String {
    at(upstream, "models")
}

/// The version may stand in the base URL, as in those of OpenAI's API.
fn at(upstream: &Upstream, place: &str) -> String {
    let base = upstream.base_path.as_str();
    let base = base.strip_suffix("/v1").unwrap_or(base);
    format!("{base}/v1/{place}")
}

pub(super) fn authorize(secret: Option<&str>, headers: &mut Headers) {
    if let Some(secret) = secret {
        headers.append("x-api-key", secret);
    }
    if !headers.contains("anthropic-version") {
        headers.append("anthropic-version", VERSION);
    }
}

//! What a call comes to.

use bytes::Bytes;
use http::StatusCode;
use spillway_platform::Headers;
use spillway_surface::{LocalReply, Rendered, openai_error};
use spillway_telemetry::Reason;
use spillway_upstream::{Pool, Stop};

use crate::error_form::{MAX_ERROR_BYTES, UpstreamError, in_one_form};
use crate::redaction::redact;
use crate::refusal::tells_of_a_dead_key;
use crate::retry_after::is_readable;

/// Provider's answer headers that reach the client, and under which name. The rest speak of the connection or of the
/// gateway's own account with the provider.
const PASSED_HEADERS: [(&str, &str); 5] = [
    ("x-request-id", UPSTREAM_REQUEST_ID),
    // Anthropic's.
    ("request-id", UPSTREAM_REQUEST_ID),
    ("retry-after", "retry-after"),
    ("openai-processing-ms", "openai-processing-ms"),
    ("openai-version", "openai-version"),
];

/// The provider's own name for the request; `x-request-id` is the gateway's, under which its log has it.
pub const UPSTREAM_REQUEST_ID: &str = "x-gateway-upstream-request-id";

/// The provider's own name for the request, as it may be told.
pub(crate) fn upstream_request_id(headers: &Headers, pool: &Pool) -> Option<String> {
    passed_headers(headers, pool)
        .text(UPSTREAM_REQUEST_ID)
        .map(ToOwned::to_owned)
}

/// The most of a provider's words that is told where they are in no form.
const MAX_WORDS_CHARS: usize = 500;

/// The longest value that is passed on.
const MAX_HEADER_BYTES: usize = 256;

/// Who served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The provider's name.
    pub provider: String,
    /// The model asked of it.
    pub model: String,
    /// Its own name for the request, of a stream that it has begun.
    pub request_id: Option<String>,
    /// Members of the request that it was not told, as its dialect has no word for them.
    pub left_out: Vec<String>,
}

/// The reply to a call that could be sent nowhere.
pub(crate) fn not_sent(stop: Stop, providers: &str) -> LocalReply {
    match stop {
        Stop::Cooling(rest) => {
            let seconds = rest.as_secs().saturating_add(1);
            LocalReply::error(
                StatusCode::TOO_MANY_REQUESTS,
                Reason::UpstreamStatus,
                format!(
                    "The model's providers ({providers}) take no more calls for now. Try again in {seconds} s."
                ),
            )
            .with_header("retry-after", seconds.to_string())
        }
        Stop::NoKey => LocalReply::error(
            StatusCode::SERVICE_UNAVAILABLE,
            Reason::Misconfigured,
            format!(
                "None of the providers ({providers}) has a key that is good now. `spillway check gateway.yaml` shows which have run out."
            ),
        ),
        Stop::NoTarget if !providers.is_empty() => LocalReply::error(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            "The model's provider has no such endpoint. docs/models.md tells what each `type` of provider serves.",
        ),
        _ => LocalReply::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            Reason::Misconfigured,
            "The route has no targets. `spillway check gateway.yaml` shows where.",
        ),
    }
}

/// A provider's complete answer, as its client gets it.
pub(crate) fn served(reason: Reason, headers: &Headers, body: Bytes, pool: &Pool) -> Rendered {
    let mut passed = Headers::default();
    passed.append("content-type", "application/json");
    for (name, value) in passed_headers(headers, pool).iter() {
        passed.append(name, value);
    }
    passed.append("x-gateway-reason", reason.as_str());
    Rendered {
        status: StatusCode::OK,
        reason,
        headers: passed,
        body,
    }
}

/// The provider did not take what the gateway sent as its key. A client that got 401 would look for the fault in its own
/// key, so it gets 502, with the provider's words.
pub(crate) fn key_refused(headers: &Headers, body: &[u8], pool: &Pool) -> LocalReply {
    let said = UpstreamError::read(body).map(|error| error.message());
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let said = redact(&said, pool);
    let beginning: String = said.trim().chars().take(MAX_WORDS_CHARS).collect();
    let words = if beginning.is_empty() {
        String::new()
    } else {
        format!(" It says: {beginning}")
    };
    let message = format!(
        "The model provider refused the credentials that the gateway sent it, which are not yours.{words}"
    );
    let status = StatusCode::BAD_GATEWAY;
    let document = openai_error(status, "provider_unauthorized", &message);
    let mut reply = LocalReply::json(status, Reason::UpstreamStatus, &document);
    reply.headers = passed_headers(headers, pool);
    reply
}

/// A provider's error in OpenAI's form, without what clients must not see.
pub(crate) fn passed_error(
    status: StatusCode,
    headers: &Headers,
    body: &[u8],
    pool: &Pool,
) -> LocalReply {
    if status == StatusCode::UNAUTHORIZED || tells_of_a_dead_key(status.as_u16(), body) {
        return key_refused(headers, body, pool);
    }
    let document = error_document(status, body, pool);
    let mut reply = error_reply(status, Reason::UpstreamStatus, document);
    reply.headers = passed_headers(headers, pool);
    reply
}

/// What a provider told, in OpenAI's form.
pub(crate) fn error_reply(status: StatusCode, reason: Reason, document: String) -> LocalReply {
    LocalReply::document(status, reason, "application/json", document)
}

/// A provider's error document in OpenAI's form, redacted; of one that cannot be read, or is too long, the beginning.
fn error_document(status: StatusCode, body: &[u8], pool: &Pool) -> String {
    if let Some(document) = in_one_form(status, body) {
        return redact(&document.to_string(), pool);
    }
    // Redacted before it is cut: of a key that the cut goes through a part would be left.
    let beginning = body.get(..MAX_ERROR_BYTES).unwrap_or(body);
    let text = redact(&String::from_utf8_lossy(beginning), pool);
    let excerpt: String = text.trim().chars().take(MAX_WORDS_CHARS).collect();
    let message = if excerpt.is_empty() {
        format!("The model provider answered {status}.")
    } else {
        format!("The model provider answered {status}: {excerpt}")
    };
    openai_error(status, Reason::UpstreamStatus.as_str(), &message).to_string()
}

/// An error object out of an answer that had begun with 200, as a document; redacted.
pub(crate) fn error_object(status: StatusCode, error: &str, pool: &Pool) -> String {
    let document = format!("{{\"error\":{error}}}");
    match in_one_form(status, document.as_bytes()) {
        Some(document) => redact(&document.to_string(), pool),
        None => error_document(status, error.as_bytes(), pool),
    }
}

fn passed_headers(headers: &Headers, pool: &Pool) -> Headers {
    let mut passed = Headers::default();
    for (name, client_name) in PASSED_HEADERS {
        let Some(value) = headers
            .first(name)
            .filter(|value| value.len() <= MAX_HEADER_BYTES)
        else {
            continue;
        };
        let is_sound = name != "retry-after" || is_readable(value);
        if let (true, Ok(value)) = (is_sound, std::str::from_utf8(value)) {
            passed.append(client_name, redact(value, pool));
        }
    }
    passed
}

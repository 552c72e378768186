//! What goes to a provider with a call whose body and answer are the client's and the provider's own, and what comes
//! back of its head.

use bytes::{Bytes, BytesMut};
use spillway_forward::REQUEST_ID;
use spillway_llm::{
    Operation, Served, TargetPlace, UPSTREAM_REQUEST_ID, redacted_header, unpacked_error,
};
use spillway_platform::{
    ForwardedResponse, Headers, IncomingBody as _, Platform, RequestHead, Upstream,
};
use spillway_telemetry::Reason;
use spillway_upstream::Pool;

use crate::model::exchange::{CallEntry, ModelExchange};
use crate::model::headers::{append_quota, describe};

/// Header fields that go along besides those of every call: the bodies are the client's and the provider's own.
const PASSED_REQUEST_HEADERS: [&str; 4] = ["content-type", "content-length", "accept", "range"];

/// Header fields of answers that stay behind: they speak of the gateway's own account, or of where the provider is.
const DROPPED_ANSWER_HEADERS: [&str; 6] = [
    "location",
    "refresh",
    "set-cookie",
    "openai-organization",
    "alt-svc",
    "server",
];

/// No provider's error is longer.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The head of the request.
pub(super) fn request_headers(
    entry: &CallEntry,
    head: &RequestHead,
    place: &TargetPlace,
    secret: Option<&str>,
) -> Headers {
    let mut headers = entry.headers.clone();
    place.forward(&entry.forwardable, &mut headers);
    for name in PASSED_REQUEST_HEADERS {
        if let Some(value) = head.headers.first(name) {
            headers.append(name, value);
        }
    }
    place.dialect().authorize(secret, &mut headers);
    headers
}

/// Path and query at a provider's endpoint.
pub(super) fn place_at(
    place: &TargetPlace,
    upstream: &Upstream,
    entry: &CallEntry,
    head: &RequestHead,
) -> String {
    let base = place.dialect().endpoint(Operation::Stateful, upstream);
    let path = entry.path.strip_prefix("/v1").unwrap_or(&entry.path);
    let query = passed_query(head.query(), entry.api.api_key_query.as_deref());
    format!("{}{path}{query}", base.unwrap_or_default())
}

/// The head of an answer that is passed on.
pub(super) fn answer_headers<P: Platform>(
    exchange: &ModelExchange<P>,
    answered: &Headers,
    pool: Option<&Pool>,
    served: Option<&Served>,
    attempts: usize,
    reason: Reason,
) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in answered.iter() {
        if stays_behind(name) {
            continue;
        }
        let name_here = if name == REQUEST_ID {
            UPSTREAM_REQUEST_ID
        } else {
            name
        };
        let value = match pool {
            Some(pool) => redacted_header(value, pool),
            None => value.to_vec(),
        };
        headers.append(name_here, value);
    }
    headers.append(REQUEST_ID, exchange.id());
    headers.append("x-gateway-reason", reason.as_str());
    describe(&mut headers, served, attempts);
    append_quota(&mut headers, &exchange.quota);
    headers
}

fn stays_behind(name: &str) -> bool {
    DROPPED_ANSWER_HEADERS.contains(&name)
        || name.starts_with("x-gateway-")
        || name.starts_with("x-ratelimit-")
}

/// The query as it came, but for the parameter in which the caller's own key stands.
fn passed_query(query: Option<&str>, key_parameter: Option<&str>) -> String {
    let is_key = |part: &&str| {
        key_parameter.is_some_and(|parameter| {
            form_urlencoded::parse(part.as_bytes())
                .next()
                .is_some_and(|(name, _)| name == parameter)
        })
    };
    let parts: Vec<&str> = query
        .unwrap_or_default()
        .split('&')
        .filter(|part| !part.is_empty() && !is_key(part))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("?{}", parts.join("&"))
    }
}

/// An error's text, as far as it is one.
pub(super) async fn read_error<P: Platform>(
    platform: &P,
    answered: ForwardedResponse<P::Unread>,
) -> Bytes {
    let headers = answered.headers;
    let mut text = BytesMut::new();
    if let Ok(mut body) = platform.read(answered.body) {
        // An error is an error even if its text broke off.
        while let Ok(Some(piece)) = body.next().await {
            if text.len().saturating_add(piece.len()) > MAX_ERROR_BYTES {
                break;
            }
            text.extend_from_slice(&piece);
        }
    }
    unpacked_error(&headers, text.freeze(), MAX_ERROR_BYTES)
}

//! What the head of an answer tells its client besides the answer.

use spillway_llm::{Served, UPSTREAM_REQUEST_ID};
use spillway_platform::Headers;

/// Says who served, after how many attempts.
pub(super) fn describe(headers: &mut Headers, served: Option<&Served>, attempts: usize) {
    if let Some(served) = served {
        if let Some(id) = &served.request_id {
            headers.append(UPSTREAM_REQUEST_ID, id.as_str());
        }
        headers.append("x-gateway-provider", served.provider.as_str());
        if !served.model.is_empty() {
            headers.append("x-gateway-model", header_text(&served.model));
        }
        if !served.left_out.is_empty() {
            headers.append("x-gateway-left-out", served.left_out.join(", "));
        }
    }
    headers.append("x-gateway-attempts", attempts.to_string());
}

/// Tells the client of its limits.
pub(super) fn append_quota(headers: &mut Headers, quota: &[(&'static str, String)]) {
    for (name, value) in quota {
        headers.append(name, value.as_str());
    }
}

/// A model's name may be a client's own text; a header takes visible ASCII only.
fn header_text(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_ascii_graphic() {
                character
            } else {
                '?'
            }
        })
        .take(200)
        .collect()
}

//! The gateway's own answers, in the form that each surface's clients understand.

use http::StatusCode;
use serde_json::json;
use spillway_telemetry::Reason;

/// Who will read an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Dify's API clients: `{"code","message","status"}`.
    Dify,
    /// OpenAI clients: `{"error":{"message","type","param","code"}}`.
    OpenAi,
    /// A person with a browser: a short page.
    Page,
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Its cause.
    pub reason: Reason,
    /// The body's type.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An error in the surface's own form. `message` says what is wrong and what to do; no secrets, no internal
    /// addresses.
    pub fn error(surface: Surface, status: StatusCode, reason: Reason, message: &str) -> Self {
        let (content_type, body) = match surface {
            Surface::Dify => (
                "application/json",
                json!({ "code": dify_code(status, reason), "message": message, "status": status.as_u16() })
                    .to_string(),
            ),
            Surface::OpenAi => (
                "application/json",
                openai_error(status, reason.as_str(), message).to_string(),
            ),
            Surface::Page => ("text/html; charset=utf-8", page(status, message)),
        };
        Self {
            status,
            reason,
            content_type,
            body: body.into_bytes(),
        }
    }

    /// No body: the status and header fields say it all.
    pub const fn empty(status: StatusCode, reason: Reason) -> Self {
        Self {
            status,
            reason,
            content_type: "",
            body: Vec::new(),
        }
    }

    /// A JSON document.
    pub fn json(status: StatusCode, reason: Reason, document: &serde_json::Value) -> Self {
        Self {
            status,
            reason,
            content_type: "application/json",
            body: document.to_string().into_bytes(),
        }
    }

    /// Plain text.
    pub fn text(status: StatusCode, reason: Reason, text: &str) -> Self {
        Self {
            status,
            reason,
            content_type: "text/plain; charset=utf-8",
            body: text.as_bytes().to_vec(),
        }
    }
}

/// OpenAI's error object. `type` follows their API's own use by status.
pub fn openai_error(status: StatusCode, code: &str, message: &str) -> serde_json::Value {
    let kind = match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

/// Dify's clients know its own codes; where it has none for the case, ours stands.
fn dify_code(status: StatusCode, reason: Reason) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::PAYLOAD_TOO_LARGE => "file_too_large",
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
        StatusCode::BAD_GATEWAY => "bad_gateway",
        StatusCode::GATEWAY_TIMEOUT => "gateway_timeout",
        _ => reason.as_str(),
    }
}

fn page(status: StatusCode, message: &str) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    let message = message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{code} {title}</title>\
         <body style=\"font-family:system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem\">\
         <h1>{code} {title}</h1><p>{message}</p></body></html>\n",
        code = status.as_u16(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_in_difys_form_fits_the_status() {
        for (status, reason, code) in [
            (404, Reason::NotFound, "not_found"),
            (413, Reason::TooLarge, "file_too_large"),
            (429, Reason::RateLimited, "too_many_requests"),
            (431, Reason::TooLarge, "too_large"),
            (501, Reason::NotImplemented, "not_implemented"),
            (503, Reason::StateUnavailable, "state_unavailable"),
            (504, Reason::UpstreamTimeout, "gateway_timeout"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer::error(Surface::Dify, status, reason, "m");
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(
                body,
                json!({ "code": code, "message": "m", "status": status.as_u16() })
            );
        }
    }
}

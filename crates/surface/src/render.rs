//! The forms that clients understand.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use spillway_platform::Headers;
use spillway_telemetry::Reason;

use crate::page::page;
use crate::{LocalReply, ReplyBody, openai_error};

/// Who reads a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Dify's API clients: `{"code","message","status"}`.
    Dify,
    /// OpenAI clients: `{"error":{"message","type","param","code"}}`.
    OpenAi,
    /// Dify, as it asks an external knowledge base: `{"error_code","error_msg"}`.
    Knowledge,
    /// A person with a browser: a short page.
    Page,
}

/// A reply in its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The status.
    pub status: StatusCode,
    /// Why.
    pub reason: Reason,
    /// Header fields, `x-gateway-reason` and the body's type among them.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl Surface {
    /// Gives a reply its form.
    pub fn render(self, reply: LocalReply) -> Rendered {
        let LocalReply {
            status,
            reason,
            mut headers,
            body,
        } = reply;
        let (content_type, body) = match body {
            ReplyBody::Empty => ("", Bytes::new()),
            ReplyBody::Document {
                content_type,
                bytes,
            } => (content_type, bytes),
            ReplyBody::Error {
                message,
                param,
                code,
            } => self.error(status, reason, &message, param.as_deref(), code),
        };
        if !content_type.is_empty() {
            headers.append("content-type", content_type);
        }
        headers.append("x-gateway-reason", reason.as_str());
        Rendered {
            status,
            reason,
            headers,
            body,
        }
    }

    fn error(
        self,
        status: StatusCode,
        reason: Reason,
        message: &str,
        param: Option<&str>,
        code: Option<u16>,
    ) -> (&'static str, Bytes) {
        match self {
            Self::Dify => (
                "application/json",
                json!({ "code": dify_code(status, reason), "message": message, "status": status.as_u16() })
                    .to_string()
                    .into(),
            ),
            Self::OpenAi => {
                let mut document = openai_error(status, reason.as_str(), message);
                if let Some(place) = document.pointer_mut("/error/param") {
                    *place = param.into();
                }
                ("application/json", document.to_string().into())
            }
            Self::Knowledge => (
                "application/json",
                json!({ "error_code": code.unwrap_or(knowledge_code(reason)), "error_msg": message })
                    .to_string()
                    .into(),
            ),
            Self::Page => ("text/html; charset=utf-8", page(status, message).into()),
        }
    }
}

/// Dify's clients know its own codes; where it has none for the case, ours stands.
pub(crate) fn dify_code(status: StatusCode, reason: Reason) -> &'static str {
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

/// The number of an error in Dify's external-knowledge contract. Dify knows 1001, 1002 and 2001; from 3000 on they are
/// the gateway's own.
const fn knowledge_code(reason: Reason) -> u16 {
    match reason {
        Reason::Unauthorized => 1002,
        Reason::NotFound => 2001,
        Reason::RateLimited | Reason::TooManyNewValues | Reason::StateUnavailable => 3002,
        Reason::UpstreamRefused => 5001,
        Reason::UpstreamTimeout => 5002,
        Reason::UpstreamError | Reason::UpstreamStatus => 5003,
        Reason::HostNotAllowed => 5004,
        Reason::Misconfigured => 5005,
        Reason::Overloaded => 5006,
        _ => 3001,
    }
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
            let rendered = Surface::Dify.render(LocalReply::error(status, reason, "m"));
            let body: serde_json::Value = serde_json::from_slice(&rendered.body).unwrap();
            assert_eq!(
                body,
                json!({ "code": code, "message": "m", "status": status.as_u16() })
            );
        }
    }

    #[test]
    fn a_document_stays_as_it_is_on_every_surface() {
        for surface in [
            Surface::Dify,
            Surface::OpenAi,
            Surface::Knowledge,
            Surface::Page,
        ] {
            let reply =
                LocalReply::text(StatusCode::TOO_MANY_REQUESTS, Reason::RateLimited, "words");
            let rendered = surface.render(reply);
            assert_eq!(&rendered.body[..], b"words");
            assert_eq!(
                rendered.headers.text("x-gateway-reason"),
                Some("rate_limited")
            );
        }
    }
}

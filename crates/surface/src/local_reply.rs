//! A reply of the gateway's own, before it has a form.

use bytes::Bytes;
use http::StatusCode;
use spillway_platform::{Headers, MAX_SECTION_BYTES, ReceiveError};
use spillway_telemetry::Reason;

/// A reply of the gateway's own: no upstream had a part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReply {
    /// The status.
    pub status: StatusCode,
    /// Why.
    pub reason: Reason,
    /// Header fields besides the body's.
    pub headers: Headers,
    /// What it says.
    pub body: ReplyBody,
}

/// What a reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyBody {
    /// Nothing: status and header fields say it all.
    Empty,
    /// An error, in the form that the surface's clients understand.
    Error {
        /// What is wrong and what to do; no secrets, no internal addresses.
        message: String,
        /// The member of the request that is at fault, where one is.
        param: Option<String>,
        /// A number of the surface's own, where the reason alone does not tell it.
        code: Option<u16>,
    },
    /// A document as it is, whatever the surface.
    Document {
        /// Its type.
        content_type: &'static str,
        /// Its bytes.
        bytes: Bytes,
    },
}

impl LocalReply {
    /// An error in these words.
    pub fn error(status: StatusCode, reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        let body = ReplyBody::Error {
            message,
            param: None,
            code: None,
        };
        Self::of(status, reason, body)
    }

    /// No body.
    pub fn empty(status: StatusCode, reason: Reason) -> Self {
        Self::of(status, reason, ReplyBody::Empty)
    }

    /// A JSON document.
    pub fn json(status: StatusCode, reason: Reason, document: &serde_json::Value) -> Self {
        Self::document(status, reason, "application/json", document.to_string())
    }

    /// The operator's own words, as they are.
    pub fn text(status: StatusCode, reason: Reason, text: impl Into<String>) -> Self {
        Self::document(status, reason, "text/plain; charset=utf-8", text.into())
    }

    /// A document of another type.
    pub fn document(
        status: StatusCode,
        reason: Reason,
        content_type: &'static str,
        bytes: impl Into<Bytes>,
    ) -> Self {
        let bytes = bytes.into();
        let body = ReplyBody::Document {
            content_type,
            bytes,
        };
        Self::of(status, reason, body)
    }

    fn of(status: StatusCode, reason: Reason, body: ReplyBody) -> Self {
        Self {
            status,
            reason,
            headers: Headers::default(),
            body,
        }
    }

    /// With a header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.append(name, value);
        self
    }

    /// With a number of the surface's own.
    #[must_use]
    pub fn with_code(mut self, number: u16) -> Self {
        if let ReplyBody::Error { code, .. } = &mut self.body {
            *code = Some(number);
        }
        self
    }

    /// The request itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::error(StatusCode::BAD_REQUEST, Reason::InvalidRequest, message)
    }

    /// There is no room for what was asked; a moment later there may be.
    pub fn overloaded(message: &str) -> Self {
        Self::error(StatusCode::SERVICE_UNAVAILABLE, Reason::Overloaded, message)
            .with_header("retry-after", "1")
    }

    /// Nothing can be served before the operator acts.
    pub fn misconfigured() -> Self {
        Self::error(
            StatusCode::SERVICE_UNAVAILABLE,
            Reason::Misconfigured,
            "The gateway's configuration cannot be used. Its log says why.",
        )
    }

    /// The header section is larger than can be forwarded safely.
    pub fn headers_too_large() -> Self {
        Self::error(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Reason::TooLarge,
            format!(
                "The request's header section is larger than {} KiB.",
                MAX_SECTION_BYTES / 1024
            ),
        )
    }

    /// The body is larger than this many bytes, which the operator has set.
    pub fn body_too_large(limit: u64) -> Self {
        Self::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            Reason::TooLarge,
            format!(
                "The request body is larger than the {limit} bytes that this API takes (`max_body_size`)."
            ),
        )
    }

    /// The body broke off.
    pub fn body_broke_off(reason: Reason) -> Self {
        Self::error(
            StatusCode::BAD_REQUEST,
            reason,
            "The request body broke off.",
        )
    }

    /// A body that could not be read whole.
    pub fn of_receive(error: &ReceiveError) -> Self {
        match error {
            ReceiveError::TooLarge { limit } => Self::body_too_large(*limit),
            ReceiveError::Broken(_) => Self::body_broke_off(Reason::ClientLeft),
            ReceiveError::NoRoom(_) => Self::overloaded(
                "The gateway has too many large requests at once. Try again in a moment.",
            ),
            ReceiveError::TooSlow => Self::error(
                StatusCode::REQUEST_TIMEOUT,
                Reason::ClientTooSlow,
                "The request body did not come in time. Send it again.",
            ),
        }
    }
}

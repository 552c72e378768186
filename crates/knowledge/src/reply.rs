//! What Dify is told.

use http::StatusCode;
use serde::Serialize;
use spillway_surface::{LocalReply, ReplyBody};
use spillway_telemetry::Reason;

use crate::{MAX_REQUEST_BYTES, Record};

/// How a request ended; labels the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetrievalOutcome {
    /// Records were found.
    Ok,
    /// None was found.
    Empty,
    /// Dify's check of a new setting: nothing was asked.
    Probe,
    /// No key, or a wrong one.
    Unauthorized,
    /// No such knowledge API, or the engine has no such knowledge.
    UnknownKnowledge,
    /// The request itself is wrong.
    InvalidRequest,
    /// No connection to the engine.
    BackendRefused,
    /// The engine was too slow.
    BackendTimeout,
    /// The engine answered an error, or what cannot be used.
    BackendError,
    /// `allowed_outbound_hosts` in `spin.toml` lacks the engine.
    HostNotAllowed,
    /// A limit is reached, or could not be looked at by a policy that denies then.
    RateLimited,
    /// The gateway's configuration cannot be used.
    Misconfigured,
    /// There was no room for the request's body.
    Overloaded,
}

impl RetrievalOutcome {
    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Empty => "empty",
            Self::Probe => "probe",
            Self::Unauthorized => "unauthorized",
            Self::UnknownKnowledge => "unknown_knowledge",
            Self::InvalidRequest => "invalid_request",
            Self::BackendRefused => "backend_refused",
            Self::BackendTimeout => "backend_timeout",
            Self::BackendError => "backend_error",
            Self::HostNotAllowed => "host_not_allowed",
            Self::RateLimited => "rate_limited",
            Self::Misconfigured => "misconfigured",
            Self::Overloaded => "overloaded",
        }
    }
}

/// The `error_code` of an error. Dify's convention knows the first three; from 3000 on they are the gateway's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 1001: no `Authorization: Bearer <key>`.
    AuthorizationFormat,
    /// 1002: a key that nobody has.
    AuthorizationFailed,
    /// 2001: the knowledge does not exist.
    UnknownKnowledge,
    /// 3001: the request itself is wrong.
    InvalidRequest,
    /// 3002: a limit is reached.
    RateLimited,
    /// 5001: no connection to the engine.
    BackendRefused,
    /// 5002: the engine was too slow.
    BackendTimeout,
    /// 5003: the engine answered an error, or what cannot be used.
    BackendError,
    /// 5004: the gateway may not reach the engine.
    HostNotAllowed,
    /// 5005: the gateway's configuration cannot be used.
    Misconfigured,
    /// 5006: the gateway has too much to do. The embedded host's own 503 has the same number.
    Overloaded,
}

impl ErrorCode {
    /// The number.
    pub const fn number(self) -> u16 {
        match self {
            Self::AuthorizationFormat => 1001,
            Self::AuthorizationFailed => 1002,
            Self::UnknownKnowledge => 2001,
            Self::InvalidRequest => 3001,
            Self::RateLimited => 3002,
            Self::BackendRefused => 5001,
            Self::BackendTimeout => 5002,
            Self::BackendError => 5003,
            Self::HostNotAllowed => 5004,
            Self::Misconfigured => 5005,
            Self::Overloaded => 5006,
        }
    }
}

/// What Dify is told, before it has its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievalReply {
    /// Status, reason and words; records are a document.
    pub local: Box<LocalReply>,
    /// How the request ended, for the metric of knowledge APIs.
    pub outcome: RetrievalOutcome,
    /// How many records were found, where an engine was asked and answered.
    pub records: Option<u32>,
    /// The query, where those are logged.
    pub query: Option<Box<str>>,
    /// What went wrong with the engine, for the log: without the query, and so without the engine's own words.
    pub detail: Option<Box<str>>,
}

impl RetrievalReply {
    /// An error in the contract's form.
    pub fn error(
        status: StatusCode,
        outcome: RetrievalOutcome,
        reason: Reason,
        code: ErrorCode,
        message: &str,
    ) -> Self {
        let local = LocalReply::error(status, reason, message).with_code(code.number());
        Self::of(local, outcome)
    }

    /// A reply of the gateway's own to any kind of request: the contract's number for its reason is the surface's.
    pub fn of(local: LocalReply, outcome: RetrievalOutcome) -> Self {
        Self {
            local: Box::new(local),
            outcome,
            records: None,
            query: None,
            detail: None,
        }
    }

    fn with(mut self, status: StatusCode, reason: Reason) -> Self {
        (self.local.status, self.local.reason) = (status, reason);
        self
    }

    /// The request itself is wrong; Dify repeats none of these.
    pub fn invalid_request(message: &str) -> Self {
        Self::error(
            StatusCode::BAD_REQUEST,
            RetrievalOutcome::InvalidRequest,
            Reason::InvalidRequest,
            ErrorCode::InvalidRequest,
            message,
        )
    }

    /// The request's body is larger than [`MAX_REQUEST_BYTES`].
    pub fn too_large() -> Self {
        Self::invalid_request(&format!(
            "The request's body is larger than {MAX_REQUEST_BYTES} bytes."
        ))
        .with(StatusCode::PAYLOAD_TOO_LARGE, Reason::TooLarge)
    }

    /// The request's header section is larger than can be forwarded safely.
    pub fn headers_too_large() -> Self {
        Self::of(
            LocalReply::headers_too_large(),
            RetrievalOutcome::InvalidRequest,
        )
    }

    /// A limit refuses the request, whatever its words: Dify shows nothing but the message.
    pub fn rate_limited(refusal: LocalReply) -> Self {
        let message = match &refusal.body {
            ReplyBody::Error { message, .. } => message.clone(),
            ReplyBody::Document { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            ReplyBody::Empty => String::new(),
        };
        let local = LocalReply {
            headers: refusal.headers,
            ..LocalReply::error(refusal.status, refusal.reason, message)
        };
        let code = ErrorCode::RateLimited.number();
        Self::of(local.with_code(code), RetrievalOutcome::RateLimited)
    }

    /// Nothing can be served before the operator acts; 424, which Dify does not repeat.
    pub fn misconfigured() -> Self {
        Self::error(
            StatusCode::FAILED_DEPENDENCY,
            RetrievalOutcome::Misconfigured,
            Reason::Misconfigured,
            ErrorCode::Misconfigured,
            "The gateway's configuration cannot be used. Its log says why.",
        )
    }

    /// The request's body broke off.
    pub fn broken_body() -> Self {
        Self::invalid_request("The request's body broke off.")
    }

    /// The request's body did not come within the API's deadline.
    pub fn slow_body() -> Self {
        Self::invalid_request("The request's body did not come within the API's `deadline`.")
            .with(StatusCode::REQUEST_TIMEOUT, Reason::ClientTooSlow)
    }

    /// Other requests' bodies leave no room for this one.
    pub fn overloaded() -> Self {
        let words = "The gateway has too many large requests at once. Try again in a moment.";
        Self::of(LocalReply::overloaded(words), RetrievalOutcome::Overloaded)
    }

    pub(crate) fn wrong_method(message: &str) -> Self {
        let mut reply = Self::invalid_request(message)
            .with(StatusCode::METHOD_NOT_ALLOWED, Reason::MethodNotAllowed);
        reply.local.headers.append("allow", "POST");
        reply
    }

    pub(crate) fn unauthorized(code: ErrorCode, message: &str) -> Self {
        // Not 401, which Dify takes for a success when it checks a new setting.
        Self::error(
            StatusCode::FORBIDDEN,
            RetrievalOutcome::Unauthorized,
            Reason::Unauthorized,
            code,
            message,
        )
    }

    pub(crate) fn unknown_knowledge(reason: Reason, message: &str) -> Self {
        Self::error(
            StatusCode::NOT_FOUND,
            RetrievalOutcome::UnknownKnowledge,
            reason,
            ErrorCode::UnknownKnowledge,
            message,
        )
    }

    pub(crate) fn probe() -> Self {
        Self {
            outcome: RetrievalOutcome::Probe,
            records: None,
            ..Self::found(&[])
        }
    }

    pub(crate) fn found(records: &[Record]) -> Self {
        let outcome = if records.is_empty() {
            RetrievalOutcome::Empty
        } else {
            RetrievalOutcome::Ok
        };
        // Texts, finite numbers and JSON: writing those cannot fail.
        let body = serde_json::to_vec(&Found { records }).unwrap_or_default();
        let local = LocalReply::document(StatusCode::OK, Reason::Ok, "application/json", body);
        Self {
            records: u32::try_from(records.len()).ok(),
            ..Self::of(local, outcome)
        }
    }
}

#[derive(Serialize)]
struct Found<'a> {
    records: &'a [Record],
}

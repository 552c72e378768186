//! Ways for an engine to fail, and what each tells Dify.
//!
//! Dify repeats 429, 500, 502, 503 and 504 three times and then shows "Reached maximum retries" in place of the
//! message. So these stand only where a second try may help and costs the engine little; whatever would be the
//! same again is 424, which Dify shows at once.

use std::fmt;

use http::StatusCode;
use spillway_platform::SendError;
use spillway_surface::transport_failure;
use spillway_telemetry::Reason;

use crate::{ErrorCode, KnowledgeApi, RetrievalOutcome, RetrievalReply};

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BackendFailure {
    /// The request cannot be put to this engine.
    Invalid(String),
    /// No answer, or no complete one.
    Send(SendError),
    /// The time is over.
    Deadline,
    /// The engine has no such knowledge.
    UnknownKnowledge,
    /// The engine does not take the gateway's key.
    KeyRefused,
    /// The engine says that it cannot serve now.
    Busy(StatusCode),
    /// The engine says that it does not serve this.
    Rejected(Rejection),
    /// The host has no memory for the engine's answer.
    NoRoom,
    /// The engine's answer is no answer.
    Unreadable(Unreadable),
}

/// An engine's own error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub status: StatusCode,
    /// The engine's own code.
    pub code: Option<i64>,
    /// The engine's words, where they are made for its callers. They may repeat the query.
    pub message: Option<String>,
}

/// Why an engine's answer is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    NotJson,
    NoRecords,
    TooLarge,
}

impl Unreadable {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "is not JSON",
            Self::NoRecords => "has no records",
            Self::TooLarge => "is larger than 16 MiB",
        }
    }
}

impl From<SendError> for BackendFailure {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

/// What Dify would only repeat is told by this.
const NOT_AGAIN: StatusCode = StatusCode::FAILED_DEPENDENCY;

type Kind = (StatusCode, RetrievalOutcome, Reason, ErrorCode);

/// Status and reason as on every surface; but 424 where Dify must not try again: where only the operator can help, and
/// where the whole time is over.
fn of_send(failure: &SendError) -> Kind {
    let (status, reason) = transport_failure(failure);
    let (outcome, code) = match reason {
        Reason::HostNotAllowed => (RetrievalOutcome::HostNotAllowed, ErrorCode::HostNotAllowed),
        Reason::UpstreamRefused => (RetrievalOutcome::BackendRefused, ErrorCode::BackendRefused),
        Reason::UpstreamTimeout => (RetrievalOutcome::BackendTimeout, ErrorCode::BackendTimeout),
        Reason::Overloaded => (RetrievalOutcome::Overloaded, ErrorCode::Overloaded),
        _ => (RetrievalOutcome::BackendError, ErrorCode::BackendError),
    };
    let is_vain = status == StatusCode::GATEWAY_TIMEOUT
        || matches!(
            failure,
            SendError::HostNotAllowed | SendError::ConnectTimeout
        );
    (
        if is_vain { NOT_AGAIN } else { status },
        outcome,
        reason,
        code,
    )
}

impl BackendFailure {
    /// What Dify is told.
    pub fn answer(&self, api: &KnowledgeApi, knowledge_id: &str) -> RetrievalReply {
        let message = self.message(api, knowledge_id);
        match self {
            Self::Invalid(_) => RetrievalReply::invalid_request(&message),
            Self::UnknownKnowledge => {
                RetrievalReply::unknown_knowledge(Reason::UpstreamStatus, &message)
            }
            _ => {
                let (status, outcome, reason, code) = self.kind();
                RetrievalReply::error(status, outcome, reason, code, &message)
            }
        }
    }

    fn kind(&self) -> Kind {
        let error = |status, reason| {
            (
                status,
                RetrievalOutcome::BackendError,
                reason,
                ErrorCode::BackendError,
            )
        };
        match self {
            Self::Send(failure) => of_send(failure),
            Self::Deadline => of_send(&SendError::FirstByteTimeout),
            Self::NoRoom => (
                StatusCode::SERVICE_UNAVAILABLE,
                RetrievalOutcome::Overloaded,
                Reason::Overloaded,
                ErrorCode::Overloaded,
            ),
            Self::Busy(_) => error(StatusCode::SERVICE_UNAVAILABLE, Reason::UpstreamStatus),
            Self::Unreadable(_) => error(NOT_AGAIN, Reason::UpstreamError),
            Self::Invalid(_) | Self::UnknownKnowledge | Self::KeyRefused | Self::Rejected(_) => {
                error(NOT_AGAIN, Reason::UpstreamStatus)
            }
        }
    }

    fn message(&self, api: &KnowledgeApi, knowledge_id: &str) -> String {
        match self {
            Self::Invalid(message) => message.clone(),
            Self::Deadline
            | Self::Send(SendError::FirstByteTimeout | SendError::BetweenBytesTimeout) => format!(
                "The knowledge engine did not answer within {} ms.",
                api.deadline.as_millis()
            ),
            Self::Send(SendError::HostNotAllowed) => {
                "The gateway is not allowed to reach this knowledge engine. Its log says which host spin.toml lacks.".to_owned()
            }
            Self::Send(SendError::ConnectionLimit) => {
                "The gateway has as many connections open as it may. Try again in a moment."
                    .to_owned()
            }
            Self::NoRoom => {
                "The gateway has no memory for so large an answer. Try again in a moment."
                    .to_owned()
            }
            Self::Send(SendError::Connect(_)) => {
                "There is no connection to the knowledge engine. Try again later.".to_owned()
            }
            Self::Send(SendError::ConnectTimeout) => {
                "The knowledge engine took no connection in time.".to_owned()
            }
            Self::Send(SendError::Reset(_) | SendError::Other(_)) => {
                "The connection to the knowledge engine broke. Try again later.".to_owned()
            }
            Self::UnknownKnowledge => {
                // The id is the client's own text: enough of it to be recognised.
                let shown: String = knowledge_id.chars().take(100).collect();
                format!(
                    "The knowledge engine has no knowledge `{shown}`: check the external knowledge ID in Dify."
                )
            }
            Self::KeyRefused => format!(
                "The knowledge engine does not take the gateway's key: check `backend.api_key` of the knowledge API `{}`.",
                api.name
            ),
            Self::Busy(status) => {
                format!("The knowledge engine cannot serve now ({status}). Try again later.")
            }
            Self::Rejected(rejection) => match &rejection.message {
                Some(message) => format!(
                    "The knowledge engine refused the query: {}",
                    api.engine.quote(message)
                ),
                None => format!("The knowledge engine failed ({rejection})."),
            },
            Self::Unreadable(unreadable) => {
                format!("The knowledge engine's answer {}.", unreadable.as_str())
            }
        }
    }
}

/// For the log: without the query, and so without the engine's own words, which may repeat it.
impl fmt::Display for BackendFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(_) => formatter.write_str("the request does not fit this engine"),
            Self::Send(error) => write!(formatter, "{error}"),
            Self::Deadline => formatter.write_str("no answer in time"),
            Self::UnknownKnowledge => formatter.write_str("the engine has no such knowledge"),
            Self::KeyRefused => formatter.write_str("the engine does not take `backend.api_key`"),
            Self::Busy(status) => write!(formatter, "the engine answered {status}"),
            Self::Rejected(rejection) => write!(formatter, "the engine answered {rejection}"),
            Self::NoRoom => formatter
                .write_str("the host has no memory for the engine's answer (--memory-budget)"),
            Self::Unreadable(unreadable) => {
                write!(formatter, "the engine's answer {}", unreadable.as_str())
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.status)?;
        match self.code {
            Some(code) => write!(formatter, ", code {code}"),
            None => Ok(()),
        }
    }
}

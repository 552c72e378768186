//! Why one attempt failed, and what a client is told should it be the last.

use bytes::Bytes;
use http::StatusCode;
use spillway_platform::{Headers, SendError, Upstream};
use spillway_surface::{LocalReply, Peer, transport_failure};
use spillway_telemetry::Reason;
use spillway_upstream::{AttemptError, Failure, Pool};

use crate::answer::{error_object, error_reply, key_refused, passed_error};
use crate::redaction::redact;

/// Why one attempt failed.
pub(crate) type AttemptFailure = AttemptError<FailureReply>;

/// What a client gets should the attempt be the last.
#[derive(Debug, Default)]
pub(crate) enum FailureReply {
    /// The provider's own error answer.
    Answer {
        status: StatusCode,
        headers: Headers,
        body: Bytes,
    },
    /// An error object out of an answer that had begun with 200.
    Object(String),
    /// The gateway's own words.
    Words(String),
    /// There was no answer.
    Transport(SendError),
    /// There was no room for the answer.
    NoRoom,
    /// That nobody could answer, and who was tried.
    #[default]
    Generic,
}

/// With the gateway's own words for the client.
pub(crate) fn in_words(failure: Failure, words: &str) -> AttemptFailure {
    AttemptFailure {
        detail: Some(words.to_owned()),
        ..AttemptFailure::new(failure, FailureReply::Words(words.to_owned()))
    }
}

/// The provider's dialect cannot say what the client asks for.
pub(crate) fn unsupported(words: &str) -> AttemptFailure {
    in_words(Failure::Unsupported, words)
}

/// Of what a provider said in an answer that had begun with 200.
pub(crate) fn in_an_object(failure: Failure, error: Option<String>) -> AttemptFailure {
    let reply = error.map_or(FailureReply::Generic, FailureReply::Object);
    AttemptFailure::new(failure, reply)
}

pub(crate) fn of_send(error: SendError, upstream: &Upstream) -> AttemptFailure {
    let detail = match error {
        // The address is the operator's affair.
        SendError::HostNotAllowed => format!(
            "add \"{}\" to `allowed_outbound_hosts` of the component `model` in spin.toml and restart",
            upstream.origin()
        ),
        _ => error.to_string(),
    };
    AttemptFailure {
        detail: Some(detail),
        ..AttemptFailure::new((&error).into(), FailureReply::Transport(error))
    }
}

impl FailureReply {
    /// Whether the provider refused the member by which streams are asked for their usage.
    pub(crate) fn refuses_stream_options(&self) -> bool {
        const NAMES: [&[u8]; 2] = [b"stream_options", b"include_usage"];
        match self {
            Self::Answer { status, body, .. } => {
                matches!(status.as_u16(), 400 | 422)
                    && NAMES
                        .iter()
                        .any(|name| memchr::memmem::find(body, name).is_some())
            }
            _ => false,
        }
    }

    /// What the client gets, should no further target be tried. `trail` says what was tried.
    pub(crate) fn into_reply(self, failure: Failure, trail: &str, pool: &Pool) -> LocalReply {
        if matches!(failure, Failure::Status(401) | Failure::DeadKey(_)) {
            return match self {
                Self::Answer { headers, body, .. } => key_refused(&headers, &body, pool),
                Self::Object(error) => key_refused(&Headers::default(), error.as_bytes(), pool),
                _ => key_refused(&Headers::default(), &[], pool),
            };
        }
        let (status, reason) = match failure {
            Failure::ConnectError | Failure::HostNotAllowed => {
                (StatusCode::BAD_GATEWAY, Reason::UpstreamRefused)
            }
            Failure::Timeout | Failure::FirstTokenTimeout => {
                (StatusCode::GATEWAY_TIMEOUT, Reason::UpstreamTimeout)
            }
            Failure::Reset | Failure::Truncated | Failure::TooLarge => {
                (StatusCode::BAD_GATEWAY, Reason::UpstreamError)
            }
            Failure::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, Reason::Overloaded),
            Failure::Unsupported => (StatusCode::BAD_REQUEST, Reason::InvalidRequest),
            // A filter that emptied an answer of 200 refused what was asked.
            Failure::ContentFilter(200) => (StatusCode::BAD_REQUEST, Reason::UpstreamStatus),
            Failure::Status(status)
            | Failure::ContextLength(status)
            | Failure::ContentFilter(status)
            | Failure::DeadKey(status)
            | Failure::NoCredit(status) => (
                StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
                Reason::UpstreamStatus,
            ),
        };
        match self {
            Self::Answer {
                status,
                headers,
                body,
            } => passed_error(status, &headers, &body, pool),
            Self::Object(error) => error_reply(status, reason, error_object(status, &error, pool)),
            Self::Words(words) => LocalReply::error(status, reason, redact(&words, pool)),
            Self::NoRoom => LocalReply::overloaded(
                "The gateway has too many large answers at once. Try again in a moment.",
            ),
            Self::Transport(error @ (SendError::HostNotAllowed | SendError::ConnectionLimit)) => {
                LocalReply::of_transport(&error, Peer::Provider)
            }
            Self::Transport(error) => {
                let (status, reason) = transport_failure(&error);
                nobody_answered(status, reason, trail)
            }
            Self::Generic => nobody_answered(status, reason, trail),
        }
    }
}

fn nobody_answered(status: StatusCode, reason: Reason, trail: &str) -> LocalReply {
    LocalReply::error(
        status,
        reason,
        format!("No model could answer. Tried: {trail}. Try again later."),
    )
}

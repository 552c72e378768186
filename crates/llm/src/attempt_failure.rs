//! Why one attempt failed, and what a client is told should it be the last.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use spillway_platform::{Headers, SendError, Upstream};
use spillway_telemetry::Reason;
use spillway_upstream::{Failure, Pool};

use crate::CallAnswer;
use crate::answer::{json_headers, key_refused, passed_error, told_object};
use crate::redaction::redact;

/// Why one attempt failed, and what to tell the client should it be the last.
#[derive(Debug)]
pub(crate) struct AttemptFailure {
    pub failure: Failure,
    pub told: Told,
    pub detail: Option<String>,
    /// How long the provider asked to be left alone.
    pub retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(crate) enum Told {
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
    /// The component may not reach the provider.
    HostNotAllowed,
    /// There was no room for the answer.
    NoRoom,
    /// There was no connection to spare.
    NoConnection,
    /// Nothing that the client could use.
    Nothing,
}

impl AttemptFailure {
    pub(crate) fn told(failure: Failure, told: Told) -> Self {
        Self {
            failure,
            told,
            detail: None,
            retry_after: None,
        }
    }

    /// With the gateway's own words for the client.
    pub(crate) fn in_words(failure: Failure, words: &str) -> Self {
        Self {
            detail: Some(words.to_owned()),
            ..Self::told(failure, Told::Words(words.to_owned()))
        }
    }

    pub(crate) fn bare(failure: Failure) -> Self {
        Self::told(failure, Told::Nothing)
    }

    pub(crate) fn of_send(error: &SendError, upstream: &Upstream) -> Self {
        match error {
            SendError::HostNotAllowed => Self {
                // The address is the operator's affair.
                detail: Some(format!(
                    "add \"{}\" to `allowed_outbound_hosts` of the component `model` in spin.toml and restart",
                    upstream.origin()
                )),
                ..Self::told(error.into(), Told::HostNotAllowed)
            },
            SendError::ConnectionLimit => Self {
                detail: Some(error.to_string()),
                ..Self::told(error.into(), Told::NoConnection)
            },
            _ => Self {
                detail: Some(error.to_string()),
                ..Self::bare(error.into())
            },
        }
    }

    /// Whether the provider refused the member by which streams are asked for their usage.
    pub(crate) fn refuses_stream_options(&self) -> bool {
        const NAMES: [&[u8]; 2] = [b"stream_options", b"include_usage"];
        match &self.told {
            Told::Answer { status, body, .. } => {
                matches!(status.as_u16(), 400 | 422)
                    && NAMES
                        .iter()
                        .any(|name| memchr::memmem::find(body, name).is_some())
            }
            _ => false,
        }
    }

    /// The answer, should no further target be tried. `trail` says what was tried.
    pub(crate) fn into_answer(self, trail: &str, pool: &Pool) -> CallAnswer {
        if matches!(self.failure, Failure::Status(401) | Failure::DeadKey(_)) {
            return match self.told {
                Told::Answer { headers, body, .. } => key_refused(&headers, &body, pool),
                Told::Object(error) => key_refused(&Headers::default(), error.as_bytes(), pool),
                _ => key_refused(&Headers::default(), &[], pool),
            };
        }
        let (status, reason) = match self.failure {
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
        match self.told {
            Told::Answer {
                status,
                headers,
                body,
            } => passed_error(status, &headers, &body, pool),
            Told::Object(error) => CallAnswer {
                status,
                reason,
                headers: json_headers(),
                body: told_object(status, &error, pool).into(),
            },
            Told::Words(words) => CallAnswer::error(status, reason, &redact(&words, pool)),
            Told::HostNotAllowed => CallAnswer::error(
                StatusCode::BAD_GATEWAY,
                Reason::HostNotAllowed,
                "The gateway is not allowed to reach this model provider. Its log says which host spin.toml lacks.",
            ),
            Told::NoRoom => CallAnswer::overloaded(
                "The gateway has too many large answers at once. Try again in a moment.",
            ),
            Told::NoConnection => CallAnswer::overloaded(
                "The gateway has as many connections open as it may. Try again in a moment.",
            ),
            Told::Nothing => CallAnswer::error(
                status,
                reason,
                &format!("No model could answer. Tried: {trail}. Try again later."),
            ),
        }
    }
}

//! How an attempt failed, and whose fault it was.

use std::borrow::Cow;

use spillway_config::{FallbackCondition, StatusPattern};
use spillway_platform::SendError;

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Refused, no such name, or no connection in time.
    ConnectError,
    /// The runtime does not let the component reach the host.
    HostNotAllowed,
    /// No head, or no further byte, in time.
    Timeout,
    /// A stream without content in time.
    FirstTokenTimeout,
    /// The connection broke, or what came was no HTTP or no JSON.
    Reset,
    /// The answer ended before it was complete, or was empty.
    Truncated,
    /// The request is longer than the model takes; with the answer's status.
    ContextLength(u16),
    /// The provider's content filter stopped the request, or the whole answer; with the answer's status.
    ContentFilter(u16),
    /// The provider does not take the key, though its status says something else; with that status.
    DeadKey(u16),
    /// Nothing is left on the key's account, though the status says something else; with that status.
    NoCredit(u16),
    /// The gateway had no room for the answer, or no connection to spare.
    NoRoom,
    /// The provider's dialect has no word for what the client asks for: nothing was sent.
    Unsupported,
    /// The answer, or an event of it, is larger than the gateway reads. It would be again.
    TooLarge,
    /// A status that tells of an error (or a success that carried an error object, as 502).
    Status(u16),
}

/// Who is at fault for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The machine that was called.
    Endpoint,
    /// The key that was sent.
    Key,
    /// The request, the configuration, or what both sides agreed on: nothing is ejected.
    Nobody,
}

impl Failure {
    /// The name in metrics and logs.
    pub fn label(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ConnectError => "connect_error",
            Self::HostNotAllowed => "host_not_allowed",
            Self::Timeout => "timeout",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::ContextLength(_) => "context_length",
            Self::ContentFilter(_) => "content_filter",
            Self::DeadKey(_) => "dead_key",
            Self::NoCredit(_) => "no_credit",
            Self::NoRoom => "no_room",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::Status(status) => return Cow::Owned(status.to_string()),
        })
    }

    /// Who is at fault. 408 is a provider's own way to say that it was too slow.
    pub fn blame(self) -> Blame {
        match self {
            Self::ConnectError
            | Self::Timeout
            | Self::FirstTokenTimeout
            | Self::Reset
            | Self::Truncated
            | Self::Status(408 | 500..=599) => Blame::Endpoint,
            Self::Status(401..=403 | 429) | Self::DeadKey(_) | Self::NoCredit(_) => Blame::Key,
            Self::HostNotAllowed
            | Self::NoRoom
            | Self::TooLarge
            | Self::Unsupported
            | Self::ContextLength(_)
            | Self::ContentFilter(_)
            | Self::Status(_) => Blame::Nobody,
        }
    }

    /// Whether the very same endpoint and credential may serve a moment later. One that was too slow would be so again, and the client's
    /// time is running out.
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::ConnectError
                | Self::Reset
                | Self::Truncated
                | Self::Status(408 | 429 | 500..=599)
        )
    }

    pub(crate) fn meets(self, condition: FallbackCondition) -> bool {
        match (condition, self) {
            (FallbackCondition::ConnectError, Self::ConnectError | Self::HostNotAllowed)
            | (FallbackCondition::Timeout, Self::Timeout)
            | (FallbackCondition::FirstTokenTimeout, Self::FirstTokenTimeout)
            | (FallbackCondition::Reset, Self::Reset)
            | (FallbackCondition::Truncated, Self::Truncated)
            | (FallbackCondition::ContextLength, Self::ContextLength(_))
            | (FallbackCondition::ContentFilter, Self::ContentFilter(_)) => true,
            // By the status that it came with, and by the one that says what it is.
            (FallbackCondition::Status(pattern), Self::DeadKey(status)) => {
                fits(pattern, status) || fits(pattern, 401)
            }
            (FallbackCondition::Status(pattern), Self::NoCredit(status)) => {
                fits(pattern, status) || fits(pattern, 402)
            }
            (
                FallbackCondition::Status(pattern),
                Self::Status(status) | Self::ContextLength(status) | Self::ContentFilter(status),
            ) => fits(pattern, status),
            _ => false,
        }
    }
}

fn fits(pattern: StatusPattern, status: u16) -> bool {
    match pattern {
        StatusPattern::Exact(wanted) => wanted == status,
        StatusPattern::Class(digit) => status / 100 == digit,
    }
}

impl From<&SendError> for Failure {
    fn from(error: &SendError) -> Self {
        match error {
            SendError::HostNotAllowed => Self::HostNotAllowed,
            SendError::Connect(_) | SendError::ConnectTimeout => Self::ConnectError,
            SendError::ConnectionLimit => Self::NoRoom,
            SendError::FirstByteTimeout | SendError::BetweenBytesTimeout => Self::Timeout,
            SendError::Reset(_) | SendError::Other(_) => Self::Reset,
        }
    }
}

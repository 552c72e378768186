//! When a call goes on to its next target.

use serde::{Deserialize, Serialize};

use crate::TimeSpan;

/// When the next target is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Fallback {
    /// Failures on which a call goes on to the next target; others go to the client as they are.
    pub on: Vec<FallbackCondition>,
    /// How often the call is sent at most. Left out (0): to every target once, and again with each further key or
    /// endpoint of its provider where the failure was the key's or the endpoint's; where there is one key and one endpoint, twice.
    pub max_attempts: u32,
    /// From the call's arrival until it must be answered (a stream: until its first content). 280 s, below the 300 s
    /// that Dify waits.
    pub deadline: TimeSpan,
    /// How long to wait before a target is tried a second time; doubled each time, and a random part taken off. A
    /// provider's `Retry-After` is waited for instead where it fits the deadline. 250 ms.
    pub back_off: TimeSpan,
    /// How long a stream may be silent: then a comment goes out, and its head before that, where that was held back
    /// because no content has come. 15 s.
    pub keep_alive: TimeSpan,
    /// Whether an embedding may come from a target that asks for another model than the route's first one. Vectors of
    /// two models cannot be compared, so what was stored with the one is not found with the other. false.
    #[serde(skip_serializing_if = "is_no")]
    pub embeddings_across_models: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_no(value: &bool) -> bool {
    !*value
}

impl Default for Fallback {
    fn default() -> Self {
        Self {
            on: vec![
                FallbackCondition::ConnectError,
                FallbackCondition::Timeout,
                FallbackCondition::FirstTokenTimeout,
                FallbackCondition::Reset,
                FallbackCondition::Truncated,
                FallbackCondition::Status(StatusPattern::Exact(401)),
                FallbackCondition::Status(StatusPattern::Exact(402)),
                FallbackCondition::Status(StatusPattern::Exact(403)),
                FallbackCondition::Status(StatusPattern::Exact(408)),
                FallbackCondition::Status(StatusPattern::Exact(409)),
                FallbackCondition::Status(StatusPattern::Exact(424)),
                FallbackCondition::Status(StatusPattern::Exact(425)),
                FallbackCondition::Status(StatusPattern::Exact(429)),
                FallbackCondition::Status(StatusPattern::Exact(498)),
                FallbackCondition::Status(StatusPattern::Exact(499)),
                FallbackCondition::Status(StatusPattern::Class(5)),
            ],
            max_attempts: 0,
            deadline: TimeSpan::from_secs(280),
            back_off: TimeSpan::from_millis(250),
            keep_alive: TimeSpan::from_secs(15),
            embeddings_across_models: false,
        }
    }
}

/// A kind of failure. Written `connect_error`, `timeout`, `first_token_timeout`, `reset`, `truncated`,
/// `context_length`, `content_filter`, `gateway_refusal`, or a status: `"429"`, `"5xx"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FallbackCondition {
    /// Refused, no such name, or no connection in time.
    ConnectError,
    /// No head, or no further byte, in time.
    Timeout,
    /// A stream without content in time.
    FirstTokenTimeout,
    /// The connection broke, or what came was no HTTP or no JSON.
    Reset,
    /// The answer ended before it was complete, or was empty.
    Truncated,
    /// The request is longer than the model takes.
    ContextLength,
    /// The provider's content filter stopped the request or the whole answer.
    ContentFilter,
    /// One of the gateway's own limits refused the call: it goes to the second target instead.
    GatewayRefusal,
    /// The provider's status.
    Status(StatusPattern),
}

/// An HTTP status or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusPattern {
    /// One status, such as 429.
    Exact(u16),
    /// A hundred of them, by the first digit: 5 for 500 to 599.
    Class(u16),
}

//! What a call may be sent with and to, before a balancer has picked.

use std::time::Duration;

/// Who asks, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallContext<'a> {
    /// What pools go by.
    pub now: Duration,
    /// The time by which keys are valid.
    pub unix_seconds: u64,
    /// Differs from attempt to attempt, so that keys and endpoints are used in turn.
    pub sequence: u32,
    /// Whose call it is; empty: nobody's, who are one consumer all together.
    pub consumer: &'a str,
}

/// Endpoint and credential are two choices: the second has been made, the first is a balancer's, among these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates<'a> {
    /// The credential's place; `None`: none is sent.
    pub credential: Option<usize>,
    /// The endpoints' places, in ascending order; at least one.
    pub endpoints: Vec<usize>,
    pub(crate) context: CallContext<'a>,
    /// An endpoint on probation takes the call as its trial. A call of last resort is none.
    pub(crate) is_trial: bool,
}

/// What a call is sent with and to: places in the provider's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// The endpoint's place.
    pub endpoint: usize,
    /// The credential's place; `None`: none is sent.
    pub credential: Option<usize>,
}

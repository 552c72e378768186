//! How a provider's calls are spread over its endpoints.

use serde::{Deserialize, Serialize};

/// How calls are spread over a provider's endpoints, in the words of Higress' `ai-load-balancer`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LoadBalance {
    /// `round_robin` (one after the other) or `least_request` (where the fewest calls are in flight).
    pub lb_policy: LbPolicy,
}

/// Which endpoint is picked, of those that are well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LbPolicy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest calls in flight.
    LeastRequest,
}

//! Token limits, written as Higress writes them (`ai-token-ratelimit`), with our additions.

use serde::{Deserialize, Serialize};

use super::{HigressRedis, LimitScope, OnError, RuleItem, TokenQuota, too_many_requests};

/// One document of token limits. All documents of an API, and all items of a document that a request matches, hold at
/// once: it passes where every one of them has room. (Higress before 2.2.4 stops at the first item that matches.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(transform = crate::schema::with_higress_rules))]
#[serde(deny_unknown_fields)]
pub struct TokenLimit {
    /// Unique within the API, among its `rate_limits` too; stands in logs, metrics and the `RateLimit` header.
    pub rule_name: String,
    /// The requests that it is for: out of a document's `_rules_`, as Higress writes them. Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applies_to: Option<LimitScope>,
    /// The requests that it is not for, as an earlier one of the same `_rules_` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<LimitScope>,
    /// One quota for all requests together. This or `rule_items`, or both: then a request needs room in both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_threshold: Option<TokenQuota>,
    /// Quotas by a property of the request. A request that no item matches passes.
    #[serde(default)]
    pub rule_items: Vec<RuleItem<TokenQuota>>,
    /// Which tokens count.
    #[serde(default)]
    pub token_kind: TokenKind,
    /// How much a call reserves of what it may use, from its admission until its use is known.
    #[serde(default)]
    pub reserve: ReserveMode,
    /// Whether answers to requests that pass tell the quota too; those to refused ones always do.
    #[serde(default)]
    pub show_limit_quota_header: bool,
    /// The status of a refusal. 429.
    #[serde(default = "too_many_requests")]
    pub rejected_code: u16,
    /// The body of a refusal, as plain text. Left out: a message in the form that the API's clients know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_msg: Option<String>,
    /// What happens to requests while their tokens cannot be counted. Left out: as `state.on_error` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// Counts and tells in logs and metrics what it would refuse, but refuses nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Where Higress would count. Read so that its documents need no change; `state.redis` is what is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<HigressRedis>,
}

/// Which tokens count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Prompt and completion.
    #[default]
    Total,
    /// The prompt's.
    Input,
    /// The completion's.
    Output,
}

/// How much a call reserves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReserveMode {
    /// Its input, and of its output as much as 95 of 100 such calls have used lately; of kinds of calls that are not known
    /// yet the largest that it may have, at most a quarter of the limit.
    #[default]
    Expected,
    /// Its input, and the largest output that it may have. No window is ever exceeded; fewer calls run at once.
    Max,
    /// Nothing: the call that crosses the limit still passes, the next is refused. As Higress counts.
    None,
}

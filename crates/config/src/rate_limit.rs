//! Request limits, written as Higress writes them (`cluster-key-rate-limit`), with our additions; and what token limits
//! share with them.

use serde::{Deserialize, Serialize};

mod address_source;
mod dimension;
mod item;
mod key_pattern;
mod limit_key;
mod limit_rule;
mod quota;
mod scope;
mod token_limit;

pub use address_source::AddressSource;
pub use dimension::{Argument, Dimension, LimitBy, Source, Values};
#[cfg(feature = "document")]
pub(crate) use dimension::{ArgumentKind, Traffic};
pub use item::RuleItem;
pub use key_pattern::KeyPattern;
pub use limit_key::LimitKey;
pub use limit_rule::LimitRule;
pub use quota::{Quota, QuotaWindow, RequestQuota, TokenQuota};
pub use scope::LimitScope;
pub use token_limit::{ReserveMode, TokenKind, TokenLimit};

/// One document of request limits. All documents of an API, and all items of a document that a request matches,
/// hold at once: it passes where every one of them has room. (Higress stops at the first item that matches.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(transform = crate::schema::with_higress_rules))]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Unique within the API; stands in logs, metrics and the `RateLimit` header.
    pub rule_name: String,
    /// The requests that it is for: out of a document's `_rules_`, as Higress writes them. Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applies_to: Option<LimitScope>,
    /// The requests that it is not for, as an earlier one of the same `_rules_` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<LimitScope>,
    /// One quota for all requests together. This or `rule_items`, or both: then a request needs room in both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_threshold: Option<RequestQuota>,
    /// Quotas by a property of the request. A request that no item matches passes.
    #[serde(default)]
    pub rule_items: Vec<RuleItem>,
    /// Whether answers to requests that pass tell the quota too; those to refused ones always do.
    #[serde(default)]
    pub show_limit_quota_header: bool,
    /// The status of a refusal. 429.
    #[serde(default = "too_many_requests")]
    pub rejected_code: u16,
    /// The body of a refusal, as plain text. Left out: a message in the form that the API's clients know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_msg: Option<String>,
    /// What happens to requests while they cannot be counted. Left out: as `state.on_error` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// Counts and tells in logs and metrics what it would refuse, but refuses nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Where Higress would count. Read so that its documents need no change; `state.redis` is what is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<HigressRedis>,
}

/// What happens to requests while shared state cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// They pass.
    #[default]
    Allow,
    /// They are refused.
    Deny,
}

/// The `redis` block of a Higress document. Nothing of it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(transform = crate::schema::with_capital_keys))]
#[serde(deny_unknown_fields, default)]
pub struct HigressRedis {
    /// The service's name in Higress' registry, such as `dify-redis.dns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_port: Option<u16>,
    /// Who logs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// And how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// In milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// The database's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<u32>,
}

/// The letters of methods and header names (RFC 9110 §5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn too_many_requests() -> u16 {
    429
}

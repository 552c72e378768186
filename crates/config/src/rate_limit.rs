//! Request limits, written as Higress writes them (`cluster-key-rate-limit`), with our additions.

use serde::{Deserialize, Serialize};

mod address_source;
mod dimension;
mod item;
mod key_pattern;

pub use address_source::AddressSource;
pub use dimension::{Argument, Dimension, LimitBy, Source, Values};
#[cfg(feature = "document")]
pub(crate) use dimension::{ArgumentKind, Traffic};
pub use item::RuleItem;
pub use key_pattern::KeyPattern;

/// One document of request limits. All documents of an API, and all items of a document that a request matches,
/// hold at once: it passes where every one of them has room. (Higress stops at the first item that matches.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(transform = crate::schema::with_capital_keys))]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Unique within the API; stands in logs, metrics and the `RateLimit` header.
    pub rule_name: String,
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

/// How many requests may pass in which time. Several windows hold at once. (Higress picks one of them.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(transform = crate::schema::with_capital_keys))]
#[serde(deny_unknown_fields, default)]
pub struct RequestQuota {
    /// In any second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_per_second: Option<u32>,
    /// In any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_per_minute: Option<u32>,
    /// In any 60 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_per_hour: Option<u32>,
    /// In any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_per_day: Option<u32>,
    /// In flight at once, from the request's arrival to the end of its answer. Needs `state.redis`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

impl RequestQuota {
    /// The windows that are limited, shortest first, with the number of requests each may have.
    pub fn windows(self) -> impl Iterator<Item = (QuotaWindow, u32)> {
        [
            (QuotaWindow::Second, self.query_per_second),
            (QuotaWindow::Minute, self.query_per_minute),
            (QuotaWindow::Hour, self.query_per_hour),
            (QuotaWindow::Day, self.query_per_day),
        ]
        .into_iter()
        .filter_map(|(window, limit)| limit.map(|limit| (window, limit)))
    }
}

/// The time a quota is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaWindow {
    /// A second.
    Second,
    /// 60 s.
    Minute,
    /// 3600 s.
    Hour,
    /// 86,400 s.
    Day,
}

impl QuotaWindow {
    /// Its length in seconds.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// The key that it is written under.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Second => "query_per_second",
            Self::Minute => "query_per_minute",
            Self::Hour => "query_per_hour",
            Self::Day => "query_per_day",
        }
    }
}

/// Values, and the quota of those that match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(from = "LimitKeyFields", into = "LimitKeyFields")]
pub struct LimitKey {
    /// As written; [`RuleItem::pattern`] reads it.
    pub key: String,
    /// How many requests may pass.
    pub quota: RequestQuota,
}

/// Values, and the quota of those that match.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(rename = "LimitKey", transform = crate::schema::with_capital_keys))]
#[serde(deny_unknown_fields)]
struct LimitKeyFields {
    /// The whole value, `prefix:…`, `regexp:…` or `*` for any. For addresses an address, a network such as
    /// `10.0.0.0/8`, or `*`. For Dify apps the app's key, best as `{{ name }}`, or `*`. Whole values come first,
    /// then prefixes and networks, then regular expressions, then `*`; among equals the first in the file.
    key: String,
    /// In any second.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_per_second: Option<u32>,
    /// In any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_per_minute: Option<u32>,
    /// In any 60 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_per_hour: Option<u32>,
    /// In any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_per_day: Option<u32>,
    /// In flight at once, from the request's arrival to the end of its answer. Needs `state.redis`.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
}

impl From<LimitKeyFields> for LimitKey {
    fn from(fields: LimitKeyFields) -> Self {
        Self {
            key: fields.key,
            quota: RequestQuota {
                query_per_second: fields.query_per_second,
                query_per_minute: fields.query_per_minute,
                query_per_hour: fields.query_per_hour,
                query_per_day: fields.query_per_day,
                concurrency: fields.concurrency,
            },
        }
    }
}

impl From<LimitKey> for LimitKeyFields {
    fn from(LimitKey { key, quota }: LimitKey) -> Self {
        Self {
            key,
            query_per_second: quota.query_per_second,
            query_per_minute: quota.query_per_minute,
            query_per_hour: quota.query_per_hour,
            query_per_day: quota.query_per_day,
            concurrency: quota.concurrency,
        }
    }
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

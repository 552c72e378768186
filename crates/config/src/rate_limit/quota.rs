//! How much may pass in which time.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What the JSON Schema needs to know of a type.
#[cfg(feature = "document")]
pub use schemars::JsonSchema as Described;

/// Nothing, where no schema is written.
#[cfg(not(feature = "document"))]
pub trait Described {}
#[cfg(not(feature = "document"))]
impl<T> Described for T {}

/// How much may pass in which time, of whatever is counted.
pub trait Quota:
    Copy + Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned + Described
{
    /// A value of a limit and its quota, side by side as they are written.
    type KeyFields: Serialize + DeserializeOwned + Described;
    /// What an item of a rule is called in the JSON Schema.
    const ITEM: &'static str;
    /// Every key that a quota can have, for messages.
    const KEYS: &'static str;

    /// The windows that are limited, shortest first, with how much each may have.
    fn windows(self) -> impl Iterator<Item = (QuotaWindow, u64)>;

    /// How much may be in flight at once.
    fn in_flight(self) -> Option<u32>;

    /// The key that a window is written under.
    fn key(window: QuotaWindow) -> &'static str;

    /// Beside the value that it is for.
    fn with_key(self, key: String) -> Self::KeyFields;

    /// The value, and its quota.
    fn of_key(fields: Self::KeyFields) -> (String, Self);
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
    /// All of them, shortest first.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// Its length in seconds.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }
}

/// Those of four windows that are limited.
fn limited(limits: [Option<u64>; 4]) -> impl Iterator<Item = (QuotaWindow, u64)> {
    let windows = QuotaWindow::ALL.into_iter().zip(limits);
    windows.filter_map(|(window, limit)| limit.map(|limit| (window, limit)))
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

/// Values, and the quota of those that match.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(rename = "LimitKey", transform = crate::schema::with_capital_keys))]
#[serde(deny_unknown_fields)]
pub struct RequestKeyFields {
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

impl Quota for RequestQuota {
    type KeyFields = RequestKeyFields;
    const ITEM: &'static str = "RuleItem";
    const KEYS: &'static str = "`query_per_second`, `query_per_minute`, `query_per_hour`, `query_per_day` or `concurrency`";

    fn windows(self) -> impl Iterator<Item = (QuotaWindow, u64)> {
        let limits = [
            self.query_per_second,
            self.query_per_minute,
            self.query_per_hour,
            self.query_per_day,
        ];
        limited(limits.map(|limit| limit.map(u64::from)))
    }

    fn in_flight(self) -> Option<u32> {
        self.concurrency
    }

    fn key(window: QuotaWindow) -> &'static str {
        match window {
            QuotaWindow::Second => "query_per_second",
            QuotaWindow::Minute => "query_per_minute",
            QuotaWindow::Hour => "query_per_hour",
            QuotaWindow::Day => "query_per_day",
        }
    }

    fn with_key(self, key: String) -> RequestKeyFields {
        RequestKeyFields {
            key,
            query_per_second: self.query_per_second,
            query_per_minute: self.query_per_minute,
            query_per_hour: self.query_per_hour,
            query_per_day: self.query_per_day,
            concurrency: self.concurrency,
        }
    }

    fn of_key(fields: RequestKeyFields) -> (String, Self) {
        let quota = Self {
            query_per_second: fields.query_per_second,
            query_per_minute: fields.query_per_minute,
            query_per_hour: fields.query_per_hour,
            query_per_day: fields.query_per_day,
            concurrency: fields.concurrency,
        };
        (fields.key, quota)
    }
}

/// How many tokens may be used in which time. Several windows hold at once. (Higress picks one of them.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(transform = crate::schema::with_capital_keys))]
#[serde(deny_unknown_fields, default)]
pub struct TokenQuota {
    /// In any second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_per_second: Option<u64>,
    /// In any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_per_minute: Option<u64>,
    /// In any 60 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_per_hour: Option<u64>,
    /// In any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_per_day: Option<u64>,
}

/// Values, and the tokens of those that match.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(rename = "TokenLimitKey", transform = crate::schema::with_capital_keys))]
#[serde(deny_unknown_fields)]
pub struct TokenKeyFields {
    /// As of `rate_limits`: the whole value, `prefix:…`, `regexp:…` or `*` for any; an address or a network; a Dify
    /// app's key.
    key: String,
    /// In any second.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_per_second: Option<u64>,
    /// In any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_per_minute: Option<u64>,
    /// In any 60 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_per_hour: Option<u64>,
    /// In any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_per_day: Option<u64>,
}

impl Quota for TokenQuota {
    type KeyFields = TokenKeyFields;
    const ITEM: &'static str = "TokenRuleItem";
    const KEYS: &'static str =
        "`token_per_second`, `token_per_minute`, `token_per_hour` or `token_per_day`";

    fn windows(self) -> impl Iterator<Item = (QuotaWindow, u64)> {
        limited([
            self.token_per_second,
            self.token_per_minute,
            self.token_per_hour,
            self.token_per_day,
        ])
    }

    fn in_flight(self) -> Option<u32> {
        None
    }

    fn key(window: QuotaWindow) -> &'static str {
        match window {
            QuotaWindow::Second => "token_per_second",
            QuotaWindow::Minute => "token_per_minute",
            QuotaWindow::Hour => "token_per_hour",
            QuotaWindow::Day => "token_per_day",
        }
    }

    fn with_key(self, key: String) -> TokenKeyFields {
        TokenKeyFields {
            key,
            token_per_second: self.token_per_second,
            token_per_minute: self.token_per_minute,
            token_per_hour: self.token_per_hour,
            token_per_day: self.token_per_day,
        }
    }

    fn of_key(fields: TokenKeyFields) -> (String, Self) {
        let quota = Self {
            token_per_second: fields.token_per_second,
            token_per_minute: fields.token_per_minute,
            token_per_hour: fields.token_per_hour,
            token_per_day: fields.token_per_day,
        };
        (fields.key, quota)
    }
}

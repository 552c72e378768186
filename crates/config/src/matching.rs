//! Conditions on a request's path, headers and query.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which paths a route takes. A plain string is a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum PathMatch {
    /// The path itself and everything below it: `/v1` takes `/v1` and `/v1/x`, not `/v1x`.
    Prefix(String),
    /// This path alone.
    Exact {
        /// The path.
        exact: String,
    },
}

/// Conditions on headers and query parameters; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RequestMatch {
    /// By header name, in any case.
    pub headers: BTreeMap<String, ValueMatch>,
    /// By parameter name, percent-decoded.
    pub query: BTreeMap<String, ValueMatch>,
}

/// A condition on one value. A plain string is the exact value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ValueMatch {
    /// The value is this text.
    Exact(String),
    /// The value begins with this text.
    Prefix {
        /// The beginning.
        prefix: String,
    },
    /// Whether there is such a header or parameter at all.
    Present {
        /// `true`: it must be there; `false`: it must not.
        present: bool,
    },
}

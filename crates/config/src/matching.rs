//! Conditions on a request's path, headers and query.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};

/// Which paths a route takes. A plain string is a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(untagged, deny_unknown_fields)]
pub enum PathMatch {
    /// The path itself and everything below it: `/v1` takes `/v1` and `/v1/x`, not `/v1x`.
    Prefix(String),
    /// This path alone.
    Exact {
        /// The path.
        exact: String,
    },
    /// Paths in which this is found.
    Regex {
        /// A regular expression, as nginx' `~`: `^` and `$` stand for beginning and end.
        regex: String,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(untagged, deny_unknown_fields)]
pub enum ValueMatch {
    /// The value is this text.
    Exact(String),
    /// The value begins with this text.
    Prefix {
        /// The beginning.
        prefix: String,
    },
    /// The expression is found in the value.
    Regex {
        /// A regular expression.
        regex: String,
    },
    /// Whether there is such a header or parameter at all.
    Present {
        /// `true`: it must be there; `false`: it must not.
        present: bool,
    },
}

// The derived code for untagged enums answers every mistake with "did not match any variant": these two are
// read by hand.

impl<'de> Deserialize<'de> for PathMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PathVisitor)
    }
}

struct PathVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathCondition {
    exact: Option<String>,
    regex: Option<String>,
}

impl<'de> de::Visitor<'de> for PathVisitor {
    type Value = PathMatch;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a path prefix such as `/v1`, `{ exact: /v1 }` or `{ regex: ^/v1/ }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PathMatch, E> {
        Ok(PathMatch::Prefix(text.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<PathMatch, A::Error> {
        match PathCondition::deserialize(MapAccessDeserializer::new(map))? {
            PathCondition {
                exact: Some(exact),
                regex: None,
            } => Ok(PathMatch::Exact { exact }),
            PathCondition {
                exact: None,
                regex: Some(regex),
            } => Ok(PathMatch::Regex { regex }),
            PathCondition { .. } => Err(de::Error::custom(
                "write either `exact` or `regex` here, and nothing else",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for ValueMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueCondition {
    prefix: Option<String>,
    regex: Option<String>,
    present: Option<bool>,
}

impl<'de> de::Visitor<'de> for ValueVisitor {
    type Value = ValueMatch;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text, `{ prefix: text }`, `{ regex: ^text$ }` or `{ present: true }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ValueMatch, E> {
        Ok(ValueMatch::Exact(text.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ValueMatch, A::Error> {
        let condition = ValueCondition::deserialize(MapAccessDeserializer::new(map))?;
        match (condition.prefix, condition.regex, condition.present) {
            (Some(prefix), None, None) => Ok(ValueMatch::Prefix { prefix }),
            (None, Some(regex), None) => Ok(ValueMatch::Regex { regex }),
            (None, None, Some(present)) => Ok(ValueMatch::Present { present }),
            _ => Err(de::Error::custom(
                "write one of `prefix`, `regex` and `present` here, and nothing else",
            )),
        }
    }
}

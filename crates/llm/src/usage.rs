//! Token counts as providers report them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// No call uses a billion tokens.
const MAX_TOKENS: u64 = 1_000_000_000;

/// A `usage` object. Fields that a provider leaves out count as nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens of the prompt.
    #[serde(rename = "prompt_tokens", deserialize_with = "count")]
    pub input: u64,
    /// Tokens of the completion.
    #[serde(rename = "completion_tokens", deserialize_with = "count")]
    pub output: u64,
}

/// Providers have been seen to send null and floats here; neither may cost the answer.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let count = deserializer.deserialize_any(Count)?;
    // More than any call can have used is a fault, and would spoil every sum that it is added to.
    Ok(if count > MAX_TOKENS { 0 } else { count })
}

/// A number of tokens; 0 for whatever is none.
struct Count;

impl<'de> Visitor<'de> for Count {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number of tokens")
    }

    fn visit_u64<E>(self, count: u64) -> Result<u64, E> {
        Ok(count)
    }

    fn visit_i64<E>(self, count: i64) -> Result<u64, E> {
        Ok(u64::try_from(count).unwrap_or_default())
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "`as` saturates, and no count is negative"
    )]
    fn visit_f64<E>(self, count: f64) -> Result<u64, E> {
        Ok(count as u64)
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_bool<E>(self, _: bool) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_str<E>(self, _: &str) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<u64, A::Error> {
        IgnoredAny.visit_seq(list)?;
        Ok(0)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<u64, A::Error> {
        IgnoredAny.visit_map(map)?;
        Ok(0)
    }
}

//! Token counts as providers report them.

use serde::Deserialize;

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
fn count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Count {
        Whole(u64),
        Float(f64),
        Other(serde::de::IgnoredAny),
    }
    let count = match Count::deserialize(deserializer)? {
        Count::Whole(count) => count,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and no count is negative"
        )]
        Count::Float(count) => count as u64,
        Count::Other(_) => 0,
    };
    // More than any call can have used is a fault, and would spoil every sum that it is added to.
    Ok(if count > MAX_TOKENS { 0 } else { count })
}

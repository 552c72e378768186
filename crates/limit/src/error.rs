//! Limits that cannot be used.

/// A rate limit that cannot be used, because of what a variable gave. `spillway check` tells of all others.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key of it.
    #[error("rate limit `{rule}`: {source}")]
    Key {
        /// Its name.
        rule: String,
        /// What is wrong.
        source: spillway_config::Error,
    },
    /// A regular expression of it.
    #[error("rate limit `{rule}`: a key is no regular expression: {source}")]
    Regexp {
        /// Its name.
        rule: String,
        /// What is wrong, without the expression.
        source: spillway_pattern::PatternError,
    },
}

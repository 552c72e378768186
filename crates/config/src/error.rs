//! What can go wrong in this crate outside of a document; a document's mistakes are `Diagnostic`s.

use std::fmt;

/// A text that is not what it should be. No message holds a secret's value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The normal form is no JSON, or does not fit the types.
    #[error("the normal form of the configuration cannot be read: {0}")]
    NormalForm(#[from] serde_json::Error),
    /// Variables that templates name and nobody knows.
    #[error(
        "no value for {}: set a variable of that name, or an entry of the variable `secrets`",
        quoted(.names)
    )]
    MissingVariables {
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// Between `{{` and `}}` stands no name.
    #[error(
        "`{{{{{found}}}}}` names no variable: a name has lower-case letters, digits and \
         single `_` between them, and begins with a letter"
    )]
    TemplateName {
        /// What stands there, shortened.
        found: String,
    },
    /// A `{{` without its `}}`.
    #[error("`{{{{` without `}}}}`: a template is written `{{{{ name }}}}`")]
    TemplateUnclosed,
    /// A text that is no duration.
    #[error(
        "`{found}` is no duration: write a whole number and ms, s, m or h, such as `500ms`, `5s` or `2m`"
    )]
    TimeSpan {
        /// What was found, shortened.
        found: String,
    },
    /// A duration beyond the longest one.
    #[error("`{found}` is too long: the longest duration is 24h")]
    TimeSpanTooLong {
        /// What was found, shortened.
        found: String,
    },
    /// A text that is no size.
    #[error(
        "`{found}` is no size: write a whole number of bytes, or one with KiB, MiB or GiB, such as `512KiB` or `100MiB`"
    )]
    ByteSize {
        /// What was found, shortened.
        found: String,
    },
    /// A text that is no fallback condition.
    #[error(
        "`{found}` is no fallback condition: allowed are connect_error, timeout, first_token_timeout, \
         reset, truncated, context_length, content_filter, gateway_refusal, a status from \"400\" to \"599\", \"4xx\" and \"5xx\""
    )]
    FallbackCondition {
        /// What was found, shortened.
        found: String,
    },
    /// A text that is no moment.
    #[error(
        "`{found}` is no moment: write `2026-12-01T00:00:00Z` (UTC, ending in Z), or a day such as `2026-12-01`"
    )]
    Moment {
        /// What was found, shortened.
        found: String,
    },
    /// A text that is no network.
    #[error("`{found}` is no network: write an address and a prefix length, such as `10.0.0.0/8`")]
    Network {
        /// What was found, shortened.
        found: String,
    },
    /// A text that says nowhere to take an address from.
    #[error(
        "`{found}` says nowhere to take the address from: write `from-remote-addr`, or `from-header-` and a header's name"
    )]
    AddressSource {
        /// What was found, shortened.
        found: String,
    },
    /// An item of a rate limit without a dimension.
    #[error(
        "this item says not by what it counts: add one key such as `limit_by_header: x-app-id` or `limit_by_per_ip: from-remote-addr`"
    )]
    LimitWithoutDimension,
    /// An item of a rate limit with several dimensions.
    #[error("an item counts by one thing alone: write one item each for {}", quoted(.dimensions))]
    LimitByMany {
        /// Their keys.
        dimensions: Vec<&'static str>,
    },
    /// A Dify app that is no whole key.
    #[error(
        "a Dify app is named by the whole key of its API, best as \"{{{{ name }}}}\", or by `*` for any"
    )]
    DifyAppPattern,
    /// An entry that `allowed_outbound_hosts` cannot have.
    #[cfg(feature = "document")]
    #[error("`{entry}` is no entry for allowed_outbound_hosts: {reason}")]
    AllowedHost {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// The beginning of a foreign text, for a message.
pub(crate) fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 40;
    let mut shortened = String::new();
    for letter in text.chars().take(MAX_CHARS) {
        if letter.is_control() {
            shortened.extend(letter.escape_default());
        } else {
            shortened.push(letter);
        }
    }
    if text.chars().nth(MAX_CHARS).is_some() {
        shortened.push('…');
    }
    shortened
}

/// Names in backquotes, separated by commas.
fn quoted(names: &[impl fmt::Display]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

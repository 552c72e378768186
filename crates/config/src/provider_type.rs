//! Types of providers, by name: what each speaks, and where it is.
//!
//! **To add one**: a row of [`PROVIDER_TYPES`]. Parsing, `check`, the JSON Schema, its normal form and what is sent follow
//! from it; a protocol that no row has yet is a [`Protocol`], and a dialect of `spillway-llm`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A type that a provider can have; `openai_compatible` where none is written.
#[derive(Clone, Copy)]
pub struct ProviderType(&'static ProviderTypeRow);

/// What requests and answers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OpenAI's API.
    OpenAi,
    /// Anthropic's Messages API, for chats.
    Anthropic,
}

/// What is known of a type.
struct ProviderTypeRow {
    /// How it is written in `gateway.yaml`, then in Higress' files where that has another name for it. A normal form has
    /// the first.
    names: &'static [&'static str],
    protocol: Protocol,
    /// Where a vendor serves, up to and with the version, as `base_url` is written; empty where each operator has their own.
    base_url: &'static str,
    /// Whether streams tell their usage only where `stream_options` asks for it.
    is_asked_for_usage: bool,
}

/// What a provider is whose type is not written.
const OPENAI_COMPATIBLE: ProviderTypeRow = ProviderTypeRow {
    names: &["openai_compatible"],
    protocol: Protocol::OpenAi,
    base_url: "",
    is_asked_for_usage: true,
};

/// All of them; where a URL comes from, as a comment beside it.
static PROVIDER_TYPES: &[ProviderTypeRow] = &[
    OPENAI_COMPATIBLE,
    ProviderTypeRow {
        names: &["openai"],
        protocol: Protocol::OpenAi,
        // https://platform.openai.com/docs/api-reference/introduction
        base_url: "https://api.openai.com/v1",
        is_asked_for_usage: true,
    },
    ProviderTypeRow {
        names: &["anthropic", "claude"],
        protocol: Protocol::Anthropic,
        // https://docs.claude.com/en/api/overview
        base_url: "https://api.anthropic.com",
        is_asked_for_usage: false,
    },
    ProviderTypeRow {
        names: &["deepseek"],
        protocol: Protocol::OpenAi,
        // https://api-docs.deepseek.com/
        base_url: "https://api.deepseek.com",
        is_asked_for_usage: true,
    },
    ProviderTypeRow {
        names: &["mistral"],
        protocol: Protocol::OpenAi,
        // https://docs.mistral.ai/api
        base_url: "https://api.mistral.ai/v1",
        // It refuses `stream_options` with 422 (github.com/avante-corp/avante.nvim/issues/2347), and tells usage unasked.
        is_asked_for_usage: false,
    },
];

/// Every name.
static NAMES: [&str; NAME_COUNT] = names();

const NAME_COUNT: usize = name_count();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "done by the compiler, which would say so"
)]
const fn name_count() -> usize {
    let mut count = 0;
    let mut place = 0;
    while place < PROVIDER_TYPES.len() {
        count += PROVIDER_TYPES[place].names.len();
        place += 1;
    }
    count
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "done by the compiler, which would say so"
)]
const fn names() -> [&'static str; NAME_COUNT] {
    let mut names = [""; NAME_COUNT];
    let mut count = 0;
    let mut place = 0;
    while place < PROVIDER_TYPES.len() {
        let row = PROVIDER_TYPES[place].names;
        let mut spelling = 0;
        while spelling < row.len() {
            names[count] = row[spelling];
            count += 1;
            spelling += 1;
        }
        place += 1;
    }
    names
}

impl ProviderType {
    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        let row = PROVIDER_TYPES
            .iter()
            .find(|row| row.names.contains(&name))?;
        Some(Self(row))
    }

    /// Its name in a normal form.
    pub fn name(self) -> &'static str {
        self.0.names.first().copied().unwrap_or_default()
    }

    /// What it speaks.
    pub fn protocol(self) -> Protocol {
        self.0.protocol
    }

    /// Whether its streams tell their usage only where they are asked for it.
    pub fn is_asked_for_usage(self) -> bool {
        self.0.is_asked_for_usage
    }

    /// Where its vendor serves, as `base_url` is written. `None` where each operator has their own.
    pub fn base_url(self) -> Option<&'static str> {
        Some(self.0.base_url).filter(|url| !url.is_empty())
    }
}

impl ProviderType {
    /// All names, second spellings too.
    #[cfg(feature = "document")]
    pub(crate) const NAMES: &'static [&'static str] = &NAMES;
}

impl Default for ProviderType {
    fn default() -> Self {
        Self(&OPENAI_COMPATIBLE)
    }
}

impl PartialEq for ProviderType {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for ProviderType {}

impl fmt::Debug for ProviderType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for ProviderType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ProviderType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| de::Error::unknown_variant(&name, &NAMES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_types_and_every_url_is_written_as_an_operator_would() {
        for name in NAMES {
            assert_eq!(NAMES.iter().filter(|other| **other == name).count(), 1);
            let written = ProviderType::named(name).unwrap();
            assert!(!name.is_empty() && NAMES.contains(&written.name()));
            if let Some(url) = written.base_url() {
                assert!(url.starts_with("https://"), "{url} should be https");
                assert!(!url.ends_with('/'), "{url} should not end with a slash");
            }
        }
        assert_eq!(ProviderType::named("claude").unwrap().name(), "anthropic");
        assert_eq!(ProviderType::default().name(), "openai_compatible");
    }
}

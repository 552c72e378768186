//! Model vendors and self-hosted engines, their endpoints and keys.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{LoadBalance, Moment, ProviderType, Secret, TimeSpan};

/// A model vendor or a self-hosted engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Unique; targets name it.
    pub name: String,
    /// What it speaks.
    #[serde(default, rename = "type")]
    pub provider_type: ProviderType,
    /// Its URL up to and with the version: `https://llm.example/v1`. Anthropic's with or without. Left out: the vendor's,
    /// where `type` is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Instead of `base_url`, where several machines serve the same: the URL of each, used as `load_balance` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// Sent as `Authorization: Bearer …`, Anthropic's as `x-api-key`; several are used in turn. Empty: none is sent.
    #[serde(default)]
    pub api_keys: Vec<ProviderKey>,
    /// Header fields of clients that it gets, such as `openai-organization`, besides those that every provider gets. A
    /// client that writes a wrong one is refused, and the key is probed: name what this provider needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward_headers: Vec<String>,
    /// Whether the gateway adds `stream_options: {include_usage: true}` to streams, so that their tokens are counted: yes,
    /// unless the type's streams tell them unasked. An engine that refuses that is found out, by one call more an
    /// instance; `false` spares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<bool>,
    /// When an endpoint is ejected.
    #[serde(default)]
    pub breaker: CircuitBreaker,
    /// How calls are spread over `endpoints`. One after the other.
    #[serde(default, skip_serializing_if = "is_default")]
    pub load_balance: LoadBalance,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Provider {
    /// The URLs of all its endpoints: those that are written, else that of its type's vendor.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        let base_url = match (&self.base_url, self.endpoints.is_empty()) {
            (Some(url), _) => Some(url.as_str()),
            (None, true) => self.provider_type.base_url(),
            (None, false) => None,
        };
        let endpoints = self.endpoints.iter().map(String::as_str);
        base_url.into_iter().chain(endpoints)
    }
}

/// When an endpoint is ejected: `failures` of the last `of` calls failed by its fault. Each consumer's calls count
/// for this consumer alone, but for those that found no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CircuitBreaker {
    /// So many failures. 5.
    pub failures: u32,
    /// Among so many calls, at most 100. 10.
    pub of: u32,
    /// For so long; then one call at a time tries whether it serves again. 10 s.
    pub open_for: TimeSpan,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            failures: 5,
            of: 10,
            open_for: TimeSpan::from_secs(10),
        }
    }
}

/// A provider's key. Written as the key alone, or as a mapping with its share and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKey {
    /// The secret.
    pub key: Secret,
    /// Its share of the calls, beside those of the other keys. 1.
    pub weight: u32,
    /// Not used before.
    pub not_before: Option<Moment>,
    /// Not used from then on.
    pub expires: Option<Moment>,
}

impl ProviderKey {
    /// A key of weight 1 that is always good.
    pub fn plain(key: impl Into<Secret>) -> Self {
        Self {
            key: key.into(),
            weight: 1,
            not_before: None,
            expires: None,
        }
    }
}

/// The mapping form.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderKeyMapping {
    /// The secret.
    key: Secret,
    /// Its share of the calls, beside those of the other keys. 1.
    #[serde(default = "one")]
    weight: u32,
    /// Not used before this moment, `2026-12-01T00:00:00Z` or `2026-12-01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Moment>,
    /// Not used from this moment on. `check` warns two weeks before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Moment>,
}

const fn one() -> u32 {
    1
}

impl Serialize for ProviderKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::plain(&*self.key) {
            return serializer.serialize_str(&self.key);
        }
        ProviderKeyMapping {
            key: self.key.clone(),
            weight: self.weight,
            not_before: self.not_before,
            expires: self.expires,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProviderKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProviderKeyVisitor)
    }
}

struct ProviderKeyVisitor;

impl<'de> de::Visitor<'de> for ProviderKeyVisitor {
    type Value = ProviderKey;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key, or `{ key: …, weight: 2, expires: 2026-12-01 }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ProviderKey, E> {
        Ok(ProviderKey::plain(text))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ProviderKey, A::Error> {
        let mapping = ProviderKeyMapping::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ProviderKey {
            key: mapping.key,
            weight: mapping.weight,
            not_before: mapping.not_before,
            expires: mapping.expires,
        })
    }
}

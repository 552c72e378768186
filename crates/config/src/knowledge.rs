//! Knowledge APIs: retrieval engines offered to Dify as external knowledge.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{RateLimit, Secret, TimeSpan, TokenLimit};

/// One retrieval engine, published at `/knowledge/<name>/retrieval`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KnowledgeApiConfig {
    /// Unique among knowledge APIs; stands in the URL, in logs and metrics. Dify's endpoint setting is
    /// `http(s)://<gateway>/knowledge/<name>`.
    pub name: String,
    /// The keys that Dify may send; any of them serves. Empty: anyone who can reach the gateway may search.
    #[serde(default)]
    pub api_keys: Vec<Secret>,
    /// From the request's arrival until the gateway answers, with or without the engine. 4500 ms: Dify waits 5 s.
    #[serde(default = "knowledge_deadline")]
    pub deadline: TimeSpan,
    /// Whether each query's text is logged. Left out: none is.
    #[serde(default)]
    pub log_queries: bool,
    /// Rules of the API.
    #[serde(default)]
    pub policies: KnowledgePolicies,
    /// What answers.
    pub backend: KnowledgeBackend,
}

/// Rules of a knowledge API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(transform = crate::schema::with_single_limits))]
#[serde(deny_unknown_fields, default)]
pub struct KnowledgePolicies {
    /// How many requests pass. A key of `api_keys` counts as a consumer of its own here.
    pub rate_limits: Vec<RateLimit>,
    /// Read so that `check` can say why there are none: retrieval tells of no tokens.
    #[serde(skip_serializing)]
    #[cfg_attr(feature = "document", schemars(skip))]
    pub token_limits: Vec<TokenLimit>,
}

/// A retrieval engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum KnowledgeBackend {
    /// RAGFlow, through `POST /api/v1/retrieval`.
    Ragflow(RagflowBackend),
    /// Anything that speaks Dify's external knowledge API itself.
    DifyCompatible(DifyCompatibleBackend),
}

impl KnowledgeBackend {
    /// The URL that the gateway's own paths are appended to.
    pub fn base_url(&self) -> &str {
        match self {
            Self::Ragflow(backend) => &backend.base_url,
            Self::DifyCompatible(backend) => &backend.base_url,
        }
    }
}

/// How a RAGFlow is asked. What a request of Dify says wins over what stands here.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(
    feature = "document",
    derive(schemars::JsonSchema),
    schemars(inline, deny_unknown_fields)
)]
pub struct RagflowBackend {
    /// Its URL, before `/api/v1`: `http://ragflow:9380`.
    pub base_url: String,
    /// RAGFlow's API key, sent as `Authorization: Bearer …`.
    pub api_key: Secret,
    /// The datasets searched when the external knowledge ID in Dify is `default`; otherwise it names them itself.
    #[cfg_attr(feature = "document", schemars(default))]
    pub dataset_ids: Vec<String>,
    /// Search these documents only. Empty: all. RAGFlow takes no metadata conditions beside them.
    #[cfg_attr(feature = "document", schemars(default))]
    pub document_ids: Vec<String>,
    /// The least similarity where Dify's score threshold is off, from 0 to 1. 0.
    #[cfg_attr(feature = "document", schemars(default, range(min = 0.0, max = 1.0)))]
    pub similarity_threshold: f64,
    /// The weight of vector similarity, from 0 to 1; the rest is the weight of matching terms. 0.3.
    #[cfg_attr(
        feature = "document",
        schemars(default = "vector_similarity_weight", range(min = 0.0, max = 1.0))
    )]
    pub vector_similarity_weight: f64,
    /// How many chunks RAGFlow compares (not how many it returns). 1024.
    #[cfg_attr(feature = "document", schemars(default = "candidates", range(min = 1)))]
    pub top_k: u32,
    /// A rerank model known to RAGFlow. Left out: none.
    #[cfg_attr(feature = "document", schemars(default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank_id: Option<String>,
    /// Whether RAGFlow adds keywords of its own to the query, which costs it a call of a chat model.
    #[cfg_attr(feature = "document", schemars(default))]
    pub keyword: bool,
    /// Languages that RAGFlow translates the query into, which costs it a call of a chat model.
    #[cfg_attr(feature = "document", schemars(default))]
    pub cross_languages: Vec<String>,
    /// Whether RAGFlow asks its knowledge graph too, which costs it a call of a chat model.
    #[cfg_attr(feature = "document", schemars(default))]
    pub use_kg: bool,
    /// Whether RAGFlow looks at tables of contents too, which costs it a call of a chat model.
    #[cfg_attr(feature = "document", schemars(default))]
    pub toc_enhance: bool,
}

/// How an engine that speaks Dify's external knowledge API is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(
    feature = "document",
    derive(schemars::JsonSchema),
    schemars(inline, deny_unknown_fields)
)]
pub struct DifyCompatibleBackend {
    /// The URL that would stand in Dify's endpoint setting; `/retrieval` is appended.
    pub base_url: String,
    /// The engine's key, sent as `Authorization: Bearer …`. Empty: none is sent.
    #[cfg_attr(feature = "document", schemars(default))]
    pub api_key: Secret,
}

/// The keys of all types side by side. The derived code for tagged enums reads a mapping twice, and has forgotten
/// by then where each value stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendKeys {
    #[serde(rename = "type")]
    backend_type: BackendType,
    base_url: String,
    api_key: Option<Secret>,
    dataset_ids: Option<Vec<String>>,
    document_ids: Option<Vec<String>>,
    #[serde(default, deserialize_with = "share")]
    similarity_threshold: Option<f64>,
    #[serde(default, deserialize_with = "share")]
    vector_similarity_weight: Option<f64>,
    top_k: Option<u32>,
    rerank_id: Option<String>,
    keyword: Option<bool>,
    cross_languages: Option<Vec<String>>,
    use_kg: Option<bool>,
    toc_enhance: Option<bool>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BackendType {
    Ragflow,
    DifyCompatible,
}

impl<'de> Deserialize<'de> for KnowledgeBackend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = BackendKeys::deserialize(deserializer)?;
        match keys.backend_type {
            BackendType::Ragflow => keys
                .into_ragflow()
                .map(Self::Ragflow)
                .map_err(de::Error::missing_field),
            BackendType::DifyCompatible => match keys.ragflow_key() {
                Some(key) => Err(de::Error::custom(format_args!(
                    "`{key}` belongs to `type: ragflow`: remove it, or change the type"
                ))),
                None => Ok(Self::DifyCompatible(DifyCompatibleBackend {
                    base_url: keys.base_url,
                    api_key: keys.api_key.unwrap_or_default(),
                })),
            },
        }
    }
}

impl BackendKeys {
    /// Fails with the key that is missing.
    fn into_ragflow(self) -> Result<RagflowBackend, &'static str> {
        Ok(RagflowBackend {
            base_url: self.base_url,
            api_key: self.api_key.ok_or("api_key")?,
            dataset_ids: self.dataset_ids.unwrap_or_default(),
            document_ids: self.document_ids.unwrap_or_default(),
            similarity_threshold: self.similarity_threshold.unwrap_or_default(),
            vector_similarity_weight: self
                .vector_similarity_weight
                .unwrap_or_else(vector_similarity_weight),
            top_k: self.top_k.unwrap_or_else(candidates),
            rerank_id: self.rerank_id,
            keyword: self.keyword.unwrap_or_default(),
            cross_languages: self.cross_languages.unwrap_or_default(),
            use_kg: self.use_kg.unwrap_or_default(),
            toc_enhance: self.toc_enhance.unwrap_or_default(),
        })
    }

    /// A key that no other type has.
    fn ragflow_key(&self) -> Option<&'static str> {
        [
            ("dataset_ids", self.dataset_ids.is_some()),
            ("document_ids", self.document_ids.is_some()),
            ("similarity_threshold", self.similarity_threshold.is_some()),
            (
                "vector_similarity_weight",
                self.vector_similarity_weight.is_some(),
            ),
            ("top_k", self.top_k.is_some()),
            ("rerank_id", self.rerank_id.is_some()),
            ("keyword", self.keyword.is_some()),
            ("cross_languages", self.cross_languages.is_some()),
            ("use_kg", self.use_kg.is_some()),
            ("toc_enhance", self.toc_enhance.is_some()),
        ]
        .into_iter()
        .find_map(|(key, is_there)| is_there.then_some(key))
    }
}

/// For `deserialize_with`: a number from 0 to 1.
fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(ShareVisitor).map(Some)
}

struct ShareVisitor;

impl de::Visitor<'_> for ShareVisitor {
    type Value = f64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number from 0 to 1, such as `0.3`")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<f64, E> {
        if (0.0..=1.0).contains(&number) {
            Ok(number)
        } else {
            Err(E::invalid_value(de::Unexpected::Float(number), &self))
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<f64, E> {
        match number {
            0 => Ok(0.0),
            1 => Ok(1.0),
            _ => Err(E::invalid_value(de::Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<f64, E> {
        Err(E::invalid_value(de::Unexpected::Signed(number), &self))
    }
}

/// Below the 5 s that Dify waits, with time for the way.
fn knowledge_deadline() -> TimeSpan {
    TimeSpan::from_millis(4500)
}

/// RAGFlow's own default.
fn vector_similarity_weight() -> f64 {
    0.3
}

/// RAGFlow's own default.
fn candidates() -> u32 {
    1024
}

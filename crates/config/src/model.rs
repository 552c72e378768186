//! Model APIs and the providers behind them.

use serde::{Deserialize, Serialize};

use crate::{ByteSize, RateLimit, TimeSpan};

/// An OpenAI-compatible API offered to Dify and other clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelApi {
    /// Unique among model APIs; stands in logs and metrics.
    pub name: String,
    /// Path prefix, at or below `/llm` (where `spin.toml` mounts the component). `/v1` follows it or not.
    #[serde(default = "model_base_path")]
    pub base_path: String,
    /// The largest request body taken; beyond it 413.
    #[serde(default = "model_body_size")]
    pub max_body_size: ByteSize,
    /// Who may call, and how often.
    #[serde(default)]
    pub policies: ModelPolicies,
    /// The first route whose `match` holds for the asked model serves the call.
    pub routes: Vec<ModelRoute>,
}

/// Rules of a model API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ModelPolicies {
    /// Names of the consumers who may call. Left out: anyone who can reach the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Vec<String>>,
    /// How many requests may pass in which time.
    pub rate_limits: Vec<RateLimit>,
}

/// Where calls for some models go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelRoute {
    /// Stands in logs and metrics. Left out: the first model pattern, or `default`.
    #[serde(default)]
    pub name: String,
    /// Which calls. Left out: all.
    #[serde(default, rename = "match")]
    pub conditions: ModelMatch,
    /// Tried in this order.
    pub targets: Vec<Target>,
    /// When the next target is tried.
    #[serde(default)]
    pub fallback: Fallback,
}

/// Which calls a model route takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ModelMatch {
    /// Model names; `*` stands for any text. Empty: every model.
    pub model: Vec<String>,
}

/// One place a call can be sent to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name of a provider.
    pub provider: String,
    /// The model's name there. Left out: as the client asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// For an answer that is not streamed: until it is complete. For a stream: between two of its pieces. 300 s.
    #[serde(default = "target_timeout")]
    pub timeout: TimeSpan,
    /// For a stream: until its first content. Left out: `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_timeout: Option<TimeSpan>,
}

/// When the next target is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Fallback {
    /// Failures that lead on to the next target; others go to the client as they are.
    pub on: Vec<FallbackCondition>,
    /// How many targets are tried at most. Left out (0): all.
    pub max_attempts: u32,
    /// From the call's arrival until no further target is tried. 280 s, below the 300 s that Dify waits.
    pub deadline: TimeSpan,
    /// How long a stream's head is held back while no content has come; then it goes out and comments keep the
    /// client waiting. 15 s.
    pub keep_alive: TimeSpan,
}

impl Default for Fallback {
    fn default() -> Self {
        Self {
            on: vec![
                FallbackCondition::ConnectError,
                FallbackCondition::Timeout,
                FallbackCondition::FirstTokenTimeout,
                FallbackCondition::Reset,
                FallbackCondition::Truncated,
                FallbackCondition::Status(StatusPattern::Exact(429)),
                FallbackCondition::Status(StatusPattern::Class(5)),
            ],
            max_attempts: 0,
            deadline: TimeSpan::from_secs(280),
            keep_alive: TimeSpan::from_secs(15),
        }
    }
}

/// A kind of failure. Written `connect_error`, `timeout`, `first_token_timeout`, `reset`, `truncated`, or a
/// status: `"429"`, `"5xx"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FallbackCondition {
    /// Refused, no such name, or no connection in time.
    ConnectError,
    /// No head, or no further byte, in time.
    Timeout,
    /// A stream without content in time.
    FirstTokenTimeout,
    /// The connection broke, or what came was no HTTP or no JSON.
    Reset,
    /// The answer ended before it was complete, or was empty.
    Truncated,
    /// The provider's status.
    Status(StatusPattern),
}

/// An HTTP status or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusPattern {
    /// One status, such as 429.
    Exact(u16),
    /// A hundred of them, by the first digit: 5 for 500 to 599.
    Class(u16),
}

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
    /// Its URL up to and with the version: `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as `Authorization: Bearer …`; several are used in turn. Empty: none is sent.
    #[serde(default)]
    pub api_keys: Vec<String>,
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderType {
    /// OpenAI's API, or any engine that speaks it (vLLM, SGLang, Ollama, llama.cpp, LiteLLM, …).
    #[default]
    #[serde(alias = "openai")]
    OpenaiCompatible,
}

fn model_base_path() -> String {
    "/llm".to_owned()
}

fn model_body_size() -> ByteSize {
    ByteSize::from_mebibytes(64)
}

fn target_timeout() -> TimeSpan {
    TimeSpan::from_secs(300)
}

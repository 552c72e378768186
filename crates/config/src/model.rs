//! Model APIs, their routes and targets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::{ByteSize, Fallback, PathMatch, RateLimit, TimeSpan, TokenLimit, ValueMatch};

/// An OpenAI-compatible API offered to Dify and other clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelApiConfig {
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
#[cfg_attr(feature = "document", schemars(transform = crate::schema::with_single_limits))]
#[serde(deny_unknown_fields, default)]
pub struct ModelPolicies {
    /// Names of the consumers who may call. Left out: anyone who can reach the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Vec<String>>,
    /// Name of a query parameter in which a consumer's key may come, for clients that cannot set a header. URLs end
    /// up in logs: left out, keys are taken from headers alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_query: Option<String>,
    /// How many requests may pass in which time.
    pub rate_limits: Vec<RateLimit>,
    /// How many tokens may be used in which time.
    pub token_limits: Vec<TokenLimit>,
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
    /// Names of the consumers who may use it, of those whom `policies.auth` lets in. Left out: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Vec<String>>,
    /// Tried in this order. Where some have a `weight`, the first is drawn among those.
    pub targets: Vec<TargetConfig>,
    /// How large a call's input may be, of targets that say nothing of their own. Left out: of any size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<ContextWindow>,
    /// How many tokens the models of the route answer with at most: what a call that names no cap itself reserves for its
    /// answer in a token limit. Left out: nobody knows, and with `reserve: max` it reserves the whole limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// What the gateway sees to in a request's parameters.
    #[serde(default)]
    pub parameters: Parameters,
    /// When the next target is tried.
    #[serde(default)]
    pub fallback: Fallback,
}

impl ModelRoute {
    /// Its name, or where it has none, the one that it has then: its first model pattern, or `default`.
    pub fn name_or_default(&self) -> &str {
        if self.name.is_empty() {
            self.default_name()
        } else {
            &self.name
        }
    }

    /// The name that it has where none is written.
    pub(crate) fn default_name(&self) -> &str {
        let first = self.conditions.model.first();
        first.map_or("default", String::as_str)
    }
}

/// How large a call's input may be. It is estimated, without a tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ContextWindow {
    /// In tokens.
    pub max_input_tokens: u64,
    /// What becomes of a larger call: it is refused, or begins with the next target that is large enough.
    #[serde(default)]
    pub on_exceeded: OnExceeded,
}

/// What becomes of a call whose input is larger than `max_input_tokens`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnExceeded {
    /// It is refused, 400 `context_length_exceeded`.
    #[default]
    Refuse,
    /// It goes to the route's next target that takes it, and is refused where none does.
    Next,
}

/// Which calls a model route takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ModelMatch {
    /// Model names; `*` stands for any text, `?` for one character, `regexp:…` is a regular expression. Empty:
    /// every model, and calls that name none (files, batches).
    pub model: Vec<String>,
    /// The endpoint, from its version on: `/v1/embeddings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// By header name, in any case; all must hold.
    pub headers: BTreeMap<String, ValueMatch>,
    /// Names of consumers. Empty: whoever calls.
    pub consumers: Vec<String>,
}

/// What the gateway sees to in a request's parameters, whatever the model's provider calls its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Put in where the client sent none.
    #[cfg_attr(feature = "document", schemars(with = "BTreeMap<String, Value>"))]
    pub defaults: BTreeMap<String, Value>,
    /// The most that a number may be; a larger one, and one that is missing, becomes this. `max_tokens` and
    /// `max_completion_tokens` are one here.
    #[cfg_attr(feature = "document", schemars(with = "BTreeMap<String, f64>"))]
    pub caps: BTreeMap<String, Number>,
    /// Put in whatever the client sent. A `null` takes the parameter out.
    #[cfg_attr(feature = "document", schemars(with = "BTreeMap<String, Value>"))]
    pub forced: BTreeMap<String, Value>,
}

/// One place a call can be sent to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Name of a provider.
    pub provider: String,
    /// The model's name there. Left out: as the client asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Names there by names asked for, instead of `model`: a name itself before a pattern with `*` or `?`, a longer
    /// pattern before a shorter. A name that nothing here fits stays.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, String>,
    /// How large a call's input may be here. Left out: as the route says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<ContextWindow>,
    /// Its share of the calls that begin with it. Targets without one serve when others fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// For an answer that is not streamed: until it is complete. For a stream: between two of its pieces. Left out:
    /// 300 s, and while other targets are left no longer than this one's share of what is left of the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeSpan>,
    /// For a stream: until its first content. Left out: as `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_timeout: Option<TimeSpan>,
}

fn model_base_path() -> String {
    "/llm".to_owned()
}

fn model_body_size() -> ByteSize {
    ByteSize::from_mebibytes(64)
}

//! The whole document, and what belongs to no single API.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    AgentApiConfig, KnowledgeApiConfig, ModelApiConfig, OnError, Provider, Secret, Telemetry,
    TimeSpan,
};

/// `gateway.yaml`. The normal form (`gateway.json`) is this type written as JSON, every default spelt out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Where state shared by replicas lives.
    pub state: StateConfig,
    /// Networks of the proxies in front of the gateway, such as `10.0.0.0/8`. Only a peer in one of them is
    /// believed about `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`.
    #[cfg_attr(feature = "document", schemars(with = "Vec<String>"))]
    #[serde(deserialize_with = "crate::networks::deserialize")]
    pub trusted_proxies: Vec<IpNet>,
    /// Who may call, and with which credentials.
    pub consumers: Vec<Consumer>,
    /// Ingress: Dify applications published through the gateway.
    pub agents: Vec<AgentApiConfig>,
    /// Egress: model APIs offered to Dify and to other OpenAI clients.
    pub models: Vec<ModelApiConfig>,
    /// The model vendors and self-hosted engines that `models` send to.
    pub providers: Vec<Provider>,
    /// Egress: retrieval engines offered to Dify as external knowledge.
    pub knowledge: Vec<KnowledgeApiConfig>,
    /// What the gateway tells its operator.
    pub telemetry: Telemetry,
    /// Who may ask it about itself.
    pub admin: Admin,
}

/// Who may ask the gateway about itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Opens `/_gateway/api/` to whoever sends it as `Authorization: Bearer …`, as `spillway limits` does; it tells
    /// of limits. Empty: nothing is there.
    pub token: Secret,
}

/// A shorter `admin.token` could be found by trying.
pub const MIN_ADMIN_TOKEN: usize = 16;

/// Whether a token, without the white space around it, is one that could be found by trying.
pub fn is_short_token(token: &str) -> bool {
    token.trim().len() < MIN_ADMIN_TOKEN
}

/// Where state shared by replicas lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// Address of a Redis, `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS. Empty: Spin's
    /// key-value store, which serves one machine.
    pub redis: Secret,
    /// What happens to requests that a policy cannot judge while the state cannot be reached. A policy may say
    /// otherwise for itself. `allow`.
    pub on_error: OnError,
    /// How long a request waits for Redis in all, whatever it asks and though a connection has to be opened first; then
    /// `on_error` decides. From 20ms to 1s. 140ms.
    pub timeout: TimeSpan,
    /// Keys the digests by which limits count what clients send, and by which metrics name Dify's apps: a random text of
    /// your own, the same on all replicas. Left out, all secrets of this file together do, so that changing any of them
    /// begins every count anew.
    pub digest_key: Secret,
    /// How many requests of one client may pass in a second that bring a value which a limit counts by and which
    /// nobody brought lately. More get 429. From 1. 50.
    pub new_values_per_second: u32,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            redis: Secret::default(),
            on_error: OnError::default(),
            timeout: TimeSpan::from_millis(140),
            digest_key: Secret::default(),
            new_values_per_second: 50,
        }
    }
}

/// Somebody who calls the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// Unique; stands in logs, metrics and `policies.auth`.
    pub name: String,
    /// Any one of them identifies the consumer.
    pub credentials: Vec<Credential>,
    /// Models that the consumer may use, by the names that clients ask for; `*` and `?` as in routes, `regexp:…` too.
    /// Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
}

/// One way for a consumer to show who it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// A secret sent as `Authorization: Bearer …`, `x-api-key` or `api-key`.
    ApiKey(Secret),
    /// A key pair whose secret signs requests, as Dify's plugin *Higress* does in its mode HMAC.
    Hmac(HmacCredential),
}

/// A key pair whose secret signs requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HmacCredential {
    /// Sent in `x-ca-key`.
    pub access_key: String,
    /// Signs, and is never sent.
    pub secret_key: Secret,
    /// How far the client's clock may be off, and so how long a signature is good for. 5 m.
    #[serde(default = "clock_skew")]
    pub clock_skew: TimeSpan,
}

fn clock_skew() -> TimeSpan {
    TimeSpan::from_secs(300)
}

/// The kinds side by side. Read as a struct, a secret that stands where its kind belongs is not taken for the
/// name of a kind and shown in a message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialKinds {
    api_key: Option<Secret>,
    hmac: Option<HmacCredential>,
}

impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match CredentialKinds::deserialize(deserializer)? {
            CredentialKinds {
                api_key: Some(key),
                hmac: None,
            } => Ok(Self::ApiKey(key)),
            CredentialKinds {
                api_key: None,
                hmac: Some(pair),
            } => Ok(Self::Hmac(pair)),
            CredentialKinds { .. } => Err(de::Error::custom(
                "write either `api_key` or `hmac` here, and nothing else",
            )),
        }
    }
}

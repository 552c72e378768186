//! Agent APIs: Dify applications published through the gateway.

use serde::{Deserialize, Serialize};

use crate::{PathMatch, RateLimit, RequestMatch, TimeSpan};

/// One published Dify installation (or part of one).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentApi {
    /// Unique among agent APIs; stands in logs and metrics.
    pub name: String,
    /// What the back end speaks.
    #[serde(default)]
    pub protocol: AgentProtocol,
    /// Host names that reach this API, `dify.example.com` or `*.example.com`, without port. Empty: any.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Path prefix below which the API is published.
    #[serde(default = "root_path")]
    pub base_path: String,
    /// Whether `base_path` is removed before forwarding ("remove when forwarding to the backend service").
    #[serde(default = "enabled")]
    pub strip_base_path: bool,
    /// Where Dify's services are.
    pub services: DifyServices,
    /// What requests are held against.
    #[serde(default)]
    pub policies: AgentPolicies,
    /// Routes that come before Dify's own table.
    #[serde(default)]
    pub routes: Vec<AgentRoute>,
    /// How long the back end may take.
    #[serde(default)]
    pub timeouts: AgentTimeouts,
}

/// Rules of an agent API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AgentPolicies {
    /// How many requests may pass in which time.
    pub rate_limits: Vec<RateLimit>,
}

/// What an agent API's back end speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentProtocol {
    /// Dify: its built-in routing table applies and errors take its form.
    #[default]
    Dify,
}

/// Base URLs of Dify's services: scheme, host and port, no path. Requests for a service left out get 404.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DifyServices {
    /// `/console/api`, `/api`, `/v1`, `/files` and the other prefixes of the back end, `http://api:5001`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The front end, everything else, `http://web:3000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<String>,
    /// Plugin endpoints below `/e/`, `http://plugin_daemon:5002`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_daemon: Option<String>,
}

impl DifyServices {
    /// The base URL of one service, if it is configured.
    pub fn url(&self, service: DifyService) -> Option<&str> {
        match service {
            DifyService::Api => self.api.as_deref(),
            DifyService::Web => self.web.as_deref(),
            DifyService::PluginDaemon => self.plugin_daemon.as_deref(),
        }
    }
}

/// One of Dify's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DifyService {
    /// The back end.
    Api,
    /// The front end.
    Web,
    /// The plugin daemon.
    PluginDaemon,
}

/// A route of the operator's own. The longest path wins, then more conditions, then file order; among equals
/// it comes before Dify's own table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentRoute {
    /// Unique within the API; stands in logs and metrics.
    pub name: String,
    /// The path, below `base_path`.
    pub path: PathMatch,
    /// Methods the route takes. Empty: all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Conditions on headers and query parameters; all must hold.
    #[serde(default, rename = "match")]
    pub conditions: RequestMatch,
    /// Which service gets the request.
    pub service: DifyService,
}

/// How long the back end may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AgentTimeouts {
    /// Until a connection stands. 10 s.
    pub connect: TimeSpan,
    /// From sending the request to the answer's head. 1200 s, as long as Dify lets a run take.
    pub first_byte: TimeSpan,
    /// Between two pieces of the answer. 1200 s.
    pub idle: TimeSpan,
}

impl Default for AgentTimeouts {
    fn default() -> Self {
        Self {
            connect: TimeSpan::from_secs(10),
            first_byte: TimeSpan::from_secs(1200),
            idle: TimeSpan::from_secs(1200),
        }
    }
}

fn root_path() -> String {
    "/".to_owned()
}

fn enabled() -> bool {
    true
}

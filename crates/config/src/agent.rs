//! Agent APIs: Dify applications published through the gateway.

use serde::{Deserialize, Serialize};

use crate::{ByteSize, CorsConfig, PathMatch, RateLimit, RequestMatch, TimeSpan, TokenLimit};

/// One published Dify installation (or part of one), or any other HTTP back end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentApiConfig {
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
    /// Whether a request by `http` is sent to the same place by `https`, on port 443. What the client used says the
    /// listener, or a trusted proxy's `X-Forwarded-Proto`.
    #[serde(default)]
    pub redirect_to_https: bool,
    /// Where Dify's services are. With `protocol: dify`.
    #[serde(default, skip_serializing_if = "DifyServices::is_empty")]
    pub services: DifyServices,
    /// Where the back end is, scheme, host and port. With `protocol: http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The largest request body taken; beyond it 413. 100 MiB, as Dify's nginx has it.
    #[serde(default = "body_size")]
    pub max_body_size: ByteSize,
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
#[cfg_attr(feature = "document", schemars(transform = crate::schema::with_single_limits))]
#[serde(deny_unknown_fields, default)]
pub struct AgentPolicies {
    /// How many requests may pass in which time, and be in flight at once.
    pub rate_limits: Vec<RateLimit>,
    /// How many tokens runs may use in which time, of all models that they call.
    pub token_limits: Vec<TokenLimit>,
    /// Which web pages of other origins may call. Left out: Dify says so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<CorsConfig>,
}

/// What an agent API's back end speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentProtocol {
    /// Dify: its built-in routing table applies, its runs are read along, and errors take its form.
    #[default]
    Dify,
    /// Anything that is reached by HTTP: all requests go to `url`.
    Http,
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
    /// Dify's collaboration mode below `/socket.io/`, `http://api_websocket:5001`. Its WebSocket passes on the embedded
    /// host alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_io: Option<String>,
}

impl DifyServices {
    /// Whether no service is named.
    pub fn is_empty(&self) -> bool {
        DifyService::ALL
            .iter()
            .all(|service| self.url(*service).is_none())
    }

    /// The base URL of one service, if it is configured.
    pub fn url(&self, service: DifyService) -> Option<&str> {
        match service {
            DifyService::Api => self.api.as_deref(),
            DifyService::Web => self.web.as_deref(),
            DifyService::PluginDaemon => self.plugin_daemon.as_deref(),
            DifyService::SocketIo => self.socket_io.as_deref(),
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
    /// The back end's part for the collaboration mode.
    SocketIo,
}

impl DifyService {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Api, Self::Web, Self::PluginDaemon, Self::SocketIo];

    /// The name in the document, in limits, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Web => "web",
            Self::PluginDaemon => "plugin_daemon",
            Self::SocketIo => "socket_io",
        }
    }
}

/// A route of the operator's own. An exact path wins, then a regular expression, then the longest prefix; then more
/// conditions, then file order. A prefix comes before an equally long or shorter one of Dify's own table.
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
    /// Which service gets the request. Left out: the one that Dify's own table gives. Not with `protocol: http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<DifyService>,
}

/// How long the back end may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AgentTimeouts {
    /// Until a connection stands. 10 s.
    pub connect: TimeSpan,
    /// From sending a request to the answer's head, the request's body included. 600 s.
    pub first_byte: TimeSpan,
    /// The same for what runs an app: runs, calls of published MCP servers, triggers and plugin endpoints. 1200 s,
    /// as long as Dify lets a run take.
    pub run_first_byte: TimeSpan,
    /// Between two pieces of an answer, but of one of a published MCP server, trigger or plugin endpoint, which may
    /// be silent for as long as `ceiling`. Also how long nothing may come over a WebSocket, either way. 600 s.
    pub idle: TimeSpan,
    /// Between two pieces of a run's event stream, in which Dify sends a sign of life every 10 s. 60 s.
    pub stream_idle: TimeSpan,
    /// From a request's arrival to the end of an answer that is read along (see `docs/ingress.md`). 3600 s.
    pub ceiling: TimeSpan,
    /// How long a WebSocket of the collaboration mode may last. 24 h.
    pub websocket: TimeSpan,
}

impl Default for AgentTimeouts {
    fn default() -> Self {
        Self {
            connect: TimeSpan::from_secs(10),
            first_byte: TimeSpan::from_secs(600),
            run_first_byte: TimeSpan::from_secs(1200),
            idle: TimeSpan::from_secs(600),
            stream_idle: TimeSpan::from_secs(60),
            ceiling: TimeSpan::from_secs(3600),
            websocket: TimeSpan::from_secs(24 * 3600),
        }
    }
}

fn root_path() -> String {
    "/".to_owned()
}

fn enabled() -> bool {
    true
}

fn body_size() -> ByteSize {
    ByteSize::from_mebibytes(100)
}

//! From a request to the service that gets it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use spillway_config::{AgentApiConfig, DifyService};
use spillway_platform::{RequestHead, Timeouts, Upstream};
use spillway_surface::Surface;
use spillway_telemetry::Label;

use crate::hygiene::split_port;
use crate::{Class, Cors, UserPlace, is_below, path};

mod api;
mod domain;
mod route;

use api::AgentApi;
use domain::Fit;

/// A configuration that cannot be routed by. `spillway check` refuses it before.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A service's URL.
    #[error("agent API `{api}`: `{url}` is no http or https URL")]
    ServiceUrl {
        /// The API's name.
        api: String,
        /// The URL as resolved.
        url: String,
    },
    /// A route's path or condition.
    #[error("agent API `{api}`, route `{route}`: {source}")]
    Regex {
        /// The API's name.
        api: String,
        /// The route's name.
        route: String,
        /// What is wrong.
        source: spillway_pattern::PatternError,
    },
}

/// Who gets a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// One of Dify's services.
    Dify(DifyService),
    /// The back end of an API that is not Dify's.
    BackEnd,
}

impl Service {
    /// The name in limits, metrics, logs and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dify(service) => service.as_str(),
            Self::BackEnd => "back_end",
        }
    }
}

/// What holds for all requests of an API.
#[derive(Debug)]
pub struct ApiRules {
    /// Whether `http` is sent to `https`.
    pub redirect_to_https: bool,
    /// The largest request body, in bytes.
    pub max_body_bytes: u64,
    /// Which web pages may call; `None`: the back end says so.
    pub cors: Option<Cors>,
    /// How long the back end may take.
    pub timeouts: spillway_config::AgentTimeouts,
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The API's name, for metrics.
    pub api: Arc<str>,
    /// The route's name, for metrics.
    pub route: RouteName,
    /// The service's place.
    pub upstream: Arc<Upstream>,
    /// Which service it is.
    pub service: Service,
    /// Path and query to send.
    pub path_and_query: String,
    /// What holds for all requests of the API.
    pub rules: Arc<ApiRules>,
    /// What the request is to Dify.
    pub class: Class,
    /// Where it says who its end user is, if Dify goes by that.
    pub user_place: Option<UserPlace>,
    /// The base path that was cut off, where there was one.
    pub stripped: Option<Arc<str>>,
    /// The form of the gateway's own answers here.
    pub surface: Surface,
}

impl Destination {
    /// How long each phase of the exchange may take.
    pub fn timeouts(&self) -> Timeouts {
        let timeouts = &self.rules.timeouts;
        let first_byte = match self.class {
            Class::Run | Class::Waits => timeouts.run_first_byte,
            Class::Other => timeouts.first_byte,
        };
        Timeouts {
            connect: timeouts.connect.duration(),
            first_byte: first_byte.duration().min(timeouts.ceiling.duration()),
            // Both kinds of answer may come to a run: whoever reads it along knows which.
            between_bytes: self.silence(true).max(self.silence(false)),
        }
    }

    /// How long an answer may be silent; `of_events`: it is an event stream.
    ///
    /// Dify's runs give signs of life in theirs. What plugins and MCP servers stream gives none, and a run of twenty
    /// minutes may stand behind it: it gets what nginx gives everything, an hour.
    pub fn silence(&self, of_events: bool) -> Duration {
        let timeouts = &self.rules.timeouts;
        match self.class {
            Class::Run if of_events => timeouts.stream_idle.duration(),
            Class::Waits => timeouts.ceiling.duration(),
            Class::Run | Class::Other => timeouts.idle.duration(),
        }
    }
}

/// A route's name: the operator's own, or the prefix of Dify's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteName {
    /// Of the configuration.
    Configured(Arc<str>),
    /// Of Dify's table.
    Table(&'static str),
}

impl Deref for RouteName {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Configured(name) => name,
            Self::Table(prefix) => prefix,
        }
    }
}

impl From<&RouteName> for Label {
    fn from(name: &RouteName) -> Self {
        match name {
            RouteName::Configured(name) => Self::Shared(Arc::clone(name)),
            RouteName::Table(prefix) => Self::Static(prefix),
        }
    }
}

/// Why a request goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutingFailure {
    /// No agent API has this host and path.
    NoApi,
    /// The path holds `.` or `..` segments.
    DotSegment,
    /// The service that the route names has no URL.
    NoService {
        /// The API's name.
        api: Arc<str>,
        /// The service.
        service: DifyService,
    },
}

/// The agent APIs, ready to be asked.
#[derive(Debug, Default)]
pub struct Router {
    apis: Vec<AgentApi>,
}

impl Router {
    /// Prepares the APIs.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(apis: &[AgentApiConfig]) -> Result<Self, Error> {
        let apis = apis.iter().map(AgentApi::new).collect::<Result<_, _>>()?;
        Ok(Self { apis })
    }

    /// Whether there is no API at all.
    pub fn is_empty(&self) -> bool {
        self.apis.is_empty()
    }

    /// Finds the API by host, then by the longest base path; in it the route: an exact path, then an expression,
    /// then the longest prefix, then more conditions, then file order, an operator's own before an equally long
    /// prefix of Dify's table.
    ///
    /// # Errors
    /// [`RoutingFailure`].
    pub fn route(&self, request: &RequestHead, host: &str) -> Result<Destination, RoutingFailure> {
        let path = path::normalized(request.path());
        let is_console = path.contains("/console/api/");
        if path::resolves_elsewhere(request.path())
            || (is_console && path::resolves_elsewhere_later(&path))
        {
            return Err(RoutingFailure::DotSegment);
        }
        if host.contains('@') {
            // No host has one; what follows it could pass for another name.
            return Err(RoutingFailure::NoApi);
        }
        let host = split_port(host)
            .0
            .trim_end_matches('.')
            .to_ascii_lowercase();
        let mut best: Option<(&AgentApi, (Fit, usize))> = None;
        for api in &self.apis {
            let Some(fit) = api.fit(&host) else { continue };
            if !is_below(&path, &api.base_path) {
                continue;
            }
            let rank = (fit, api.base_path.len());
            // Strictly greater, so that among equals the first in the file stays.
            if best.is_none_or(|(_, best)| rank > best) {
                best = Some((api, rank));
            }
        }
        let (api, _) = best.ok_or(RoutingFailure::NoApi)?;
        api.route(request, &path)
    }
}

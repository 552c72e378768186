//! From a request to the service that gets it.

use spillway_config::{AgentApi, AgentTimeouts, DifyService, PathMatch, RequestMatch};
use spillway_platform::{RequestHead, Timeouts, Upstream};

use crate::hygiene::split_port;
use crate::{Surface, condition, dify, is_below, path};

/// A configuration that cannot be routed by. `spillway check` refuses it before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A service's URL.
    #[error("agent API `{api}`: `{url}` is no http or https URL")]
    ServiceUrl {
        /// The API's name.
        api: String,
        /// The URL as resolved.
        url: String,
    },
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination<'a> {
    /// The API's name, for metrics.
    pub api: &'a str,
    /// The route's name, for metrics: the operator's own, or the prefix of Dify's table.
    pub route: &'a str,
    /// The service's place.
    pub upstream: &'a Upstream,
    /// Which service it is.
    pub service: DifyService,
    /// Path and query to send.
    pub path_and_query: String,
    /// How long the service may take.
    pub timeouts: Timeouts,
    /// Whether the base path was cut off.
    pub stripped: bool,
    /// The form of the gateway's own answers here.
    pub surface: Surface,
}

/// Why a request goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutingFailure<'a> {
    /// No agent API has this host and path.
    NoApi,
    /// The path holds `.` or `..` segments.
    DotSegment,
    /// The service that the route names has no URL.
    NoService {
        /// The API's name.
        api: &'a str,
        /// The service.
        service: DifyService,
    },
    /// Dify's collaboration WebSocket, which cannot pass here.
    WebSocket {
        /// The API's name.
        api: &'a str,
    },
}

/// The agent APIs, ready to be asked.
#[derive(Debug, Default)]
pub struct Router {
    apis: Vec<Api>,
}

#[derive(Debug)]
struct Api {
    name: String,
    domains: Vec<Domain>,
    base_path: String,
    strip: bool,
    api: Option<Upstream>,
    web: Option<Upstream>,
    plugin_daemon: Option<Upstream>,
    routes: Vec<Route>,
    timeouts: Timeouts,
}

#[derive(Debug)]
struct Route {
    name: String,
    path: PathMatch,
    methods: Vec<String>,
    conditions: RequestMatch,
    service: DifyService,
}

#[derive(Debug, PartialEq, Eq)]
enum Domain {
    Name(String),
    /// Below this suffix, which begins with a dot.
    Below(String),
}

/// How narrowly a domain list fits a host; a greater one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Any,
    Wildcard(usize),
    Name,
}

impl Router {
    /// Prepares the APIs.
    ///
    /// # Errors
    /// [`Error::ServiceUrl`] where a service's URL cannot be used.
    pub fn new(apis: &[AgentApi]) -> Result<Self, Error> {
        let apis = apis.iter().map(Api::new).collect::<Result<_, _>>()?;
        Ok(Self { apis })
    }

    /// Whether there is no API at all.
    pub fn is_empty(&self) -> bool {
        self.apis.is_empty()
    }

    /// Finds the API by host, then by the longest base path; in it the route by the longest path, then by more
    /// conditions, then by file order, an operator's own before an equally long prefix of Dify's table.
    ///
    /// # Errors
    /// [`RoutingFailure`].
    pub fn route(
        &self,
        request: &RequestHead,
        host: &str,
    ) -> Result<Destination<'_>, RoutingFailure<'_>> {
        if path::has_dot_segment(request.path()) {
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
        let mut best: Option<(&Api, (Fit, usize))> = None;
        for api in &self.apis {
            let Some(fit) = api.fit(&host) else { continue };
            if !is_below(request.path(), &api.base_path) {
                continue;
            }
            let rank = (fit, api.base_path.len());
            // Strictly greater, so that among equals the first in the file stays.
            if best.is_none_or(|(_, best)| rank > best) {
                best = Some((api, rank));
            }
        }
        let (api, _) = best.ok_or(RoutingFailure::NoApi)?;
        api.route(request)
    }
}

impl Api {
    fn new(config: &AgentApi) -> Result<Self, Error> {
        let service = |service| match config.services.url(service) {
            // A template may have resolved to nothing: the service is not there then.
            None | Some("") => Ok(None),
            Some(url) => Upstream::parse(url)
                .map(Some)
                .ok_or_else(|| Error::ServiceUrl {
                    api: config.name.clone(),
                    url: url.to_owned(),
                }),
        };
        Ok(Self {
            name: config.name.clone(),
            domains: config
                .domains
                .iter()
                .map(|domain| Domain::new(domain))
                .collect(),
            base_path: config.base_path.trim_end_matches('/').to_owned(),
            strip: config.strip_base_path,
            api: service(DifyService::Api)?,
            web: service(DifyService::Web)?,
            plugin_daemon: service(DifyService::PluginDaemon)?,
            routes: config.routes.iter().map(Route::new).collect(),
            timeouts: timeouts(&config.timeouts),
        })
    }

    fn fit(&self, host: &str) -> Option<Fit> {
        if self.domains.is_empty() {
            return Some(Fit::Any);
        }
        self.domains
            .iter()
            .filter_map(|domain| domain.fit(host))
            .max()
    }

    fn service(&self, service: DifyService) -> Option<&Upstream> {
        match service {
            DifyService::Api => self.api.as_ref(),
            DifyService::Web => self.web.as_ref(),
            DifyService::PluginDaemon => self.plugin_daemon.as_ref(),
        }
    }

    fn route(&self, request: &RequestHead) -> Result<Destination<'_>, RoutingFailure<'_>> {
        let below = path::strip_base(&request.path_and_query, &self.base_path)
            .ok_or(RoutingFailure::NoApi)?;
        let path = below
            .split_once('?')
            .map_or(below.as_str(), |(path, _)| path);
        let entry = dify::entry(path).ok_or(RoutingFailure::NoApi)?;
        let own = self
            .routes
            .iter()
            .rev()
            .filter_map(|route| route.rank(path, request).map(|rank| (rank, route)))
            // The last of equals wins, which is the first in the file.
            .max_by_key(|(rank, _)| *rank)
            .filter(|(rank, _)| rank.path_length >= entry.prefix.len());
        let (route, service) = match (own, entry.target) {
            (Some((_, route)), _) => (route.name.as_str(), route.service),
            (None, dify::Target::Service(service)) => (entry.prefix, service),
            (None, dify::Target::WebSocket) => {
                return Err(RoutingFailure::WebSocket { api: &self.name });
            }
        };
        let upstream = self.service(service).ok_or(RoutingFailure::NoService {
            api: &self.name,
            service,
        })?;
        let forwarded = if self.strip {
            below
        } else {
            request.path_and_query.clone()
        };
        Ok(Destination {
            api: &self.name,
            route,
            surface: surface_of(service, request),
            upstream,
            service,
            path_and_query: format!("{}{forwarded}", upstream.base_path),
            timeouts: self.timeouts,
            stripped: self.strip && !self.base_path.is_empty(),
        })
    }
}

/// What makes one matching route win over another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    path_length: usize,
    exact: bool,
    conditions: usize,
}

impl Route {
    fn new(config: &spillway_config::AgentRoute) -> Self {
        Self {
            name: config.name.clone(),
            path: config.path.clone(),
            methods: config.methods.clone(),
            conditions: config.conditions.clone(),
            service: config.service,
        }
    }

    fn rank(&self, path: &str, request: &RequestHead) -> Option<Rank> {
        let (text, exact, matches) = match &self.path {
            PathMatch::Prefix(prefix) => (prefix, false, is_below(path, prefix)),
            PathMatch::Exact { exact } => (exact, true, path == exact),
        };
        let method = request.method.as_str();
        let takes_method =
            self.methods.is_empty() || self.methods.iter().any(|known| known == method);
        (matches && takes_method && condition::holds(&self.conditions, request)).then(|| Rank {
            path_length: text.len(),
            exact,
            conditions: condition::count(&self.conditions),
        })
    }
}

impl Domain {
    fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix('*') {
            Some(suffix) => Self::Below(suffix.to_owned()),
            None => Self::Name(text),
        }
    }

    fn fit(&self, host: &str) -> Option<Fit> {
        match self {
            Self::Name(name) => (name == host).then_some(Fit::Name),
            Self::Below(suffix) => (host.len() > suffix.len() && host.ends_with(suffix.as_str()))
                .then_some(Fit::Wildcard(suffix.len())),
        }
    }
}

/// Browsers asking the front end get a page, everybody else Dify's JSON.
fn surface_of(service: DifyService, request: &RequestHead) -> Surface {
    let wants_page = request
        .headers
        .text("accept")
        .is_some_and(|accept| accept.contains("text/html"));
    if service == DifyService::Web && wants_page {
        Surface::Page
    } else {
        Surface::Dify
    }
}

fn timeouts(config: &AgentTimeouts) -> Timeouts {
    Timeouts {
        connect: config.connect.duration(),
        first_byte: config.first_byte.duration(),
        between_bytes: config.idle.duration(),
    }
}

//! One agent API: its services, its routes, and Dify's own table.

use std::sync::Arc;

use spillway_config::{AgentApiConfig, AgentProtocol, DifyService};
use spillway_platform::{RequestHead, Upstream};
use spillway_surface::Surface;

use super::domain::{Domain, Fit};
use super::route::RoutePattern;
use super::{ApiRules, Destination, Error, RouteName, RoutingFailure, Service};
use crate::dify;
use crate::end_user::user_place;
use crate::{Class, Cors, path};

/// One agent API, ready to be asked.
#[derive(Debug)]
pub(super) struct AgentApi {
    name: Arc<str>,
    domains: Vec<Domain>,
    pub base_path: Arc<str>,
    strip: bool,
    back_end: BackEnd,
    routes: Vec<RoutePattern>,
    rules: Arc<ApiRules>,
}

#[derive(Debug)]
enum BackEnd {
    /// By service, as far as they are there.
    Dify(Vec<(DifyService, Arc<Upstream>)>),
    /// One for everything; `None` where a template resolved to nothing.
    Http(Option<Arc<Upstream>>),
}

impl AgentApi {
    pub fn new(config: &AgentApiConfig) -> Result<Self, Error> {
        // A template may have resolved to nothing: the service is not there then.
        let upstream = |url: Option<&str>| match url {
            None | Some("") => Ok(None),
            Some(url) => Upstream::parse(url)
                .map(|upstream| Some(Arc::new(upstream)))
                .ok_or_else(|| Error::ServiceUrl {
                    api: config.name.clone(),
                    url: url.to_owned(),
                }),
        };
        let back_end = match config.protocol {
            AgentProtocol::Http => BackEnd::Http(upstream(config.url.as_deref())?),
            AgentProtocol::Dify => {
                let mut services = Vec::new();
                for service in DifyService::ALL {
                    if let Some(upstream) = upstream(config.services.url(service))? {
                        services.push((service, upstream));
                    }
                }
                BackEnd::Dify(services)
            }
        };
        let routes = config.routes.iter();
        Ok(Self {
            name: config.name.as_str().into(),
            domains: config
                .domains
                .iter()
                .map(|domain| Domain::new(domain))
                .collect(),
            base_path: config.base_path.trim_end_matches('/').into(),
            strip: config.strip_base_path,
            back_end,
            routes: routes
                .map(|route| RoutePattern::new(&config.name, route))
                .collect::<Result<_, _>>()?,
            rules: Arc::new(ApiRules {
                redirect_to_https: config.redirect_to_https,
                max_body_bytes: config.max_body_size.bytes(),
                cors: config.policies.cors.as_ref().map(Cors::new),
                timeouts: config.timeouts.clone(),
            }),
        })
    }

    pub fn fit(&self, host: &str) -> Option<Fit> {
        if self.domains.is_empty() {
            return Some(Fit::Any);
        }
        self.domains
            .iter()
            .filter_map(|domain| domain.fit(host))
            .max()
    }

    /// `path` is the request's, normalized, and at or below the base path.
    pub fn route(&self, request: &RequestHead, path: &str) -> Result<Destination, RoutingFailure> {
        let below = path::strip_base(path, &self.base_path).ok_or(RoutingFailure::NoApi)?;
        let own = self
            .routes
            .iter()
            .rev()
            .filter_map(|route| route.rank(&below, request).map(|rank| (rank, route)))
            // The last of equals wins, which is the first in the file.
            .max_by_key(|(rank, _)| *rank);
        let (route, service, upstream, class, user_place) = match &self.back_end {
            BackEnd::Http(upstream) => {
                let upstream = upstream.as_ref().ok_or(RoutingFailure::NoApi)?;
                let route = own.map_or(RouteName::Table("/"), |(_, route)| route.name());
                (route, Service::BackEnd, upstream, Class::Other, None)
            }
            BackEnd::Dify(services) => {
                let entry = dify::entry(&below).ok_or(RoutingFailure::NoApi)?;
                let own = own
                    .filter(|(rank, _)| rank.beats_prefix_of(entry.prefix.len()))
                    .map(|(_, route)| route);
                let route = own.map_or(RouteName::Table(entry.prefix), RoutePattern::name);
                let service = own.and_then(|route| route.service).unwrap_or(entry.service);
                let upstream = services
                    .iter()
                    .find_map(|(known, upstream)| (*known == service).then_some(upstream))
                    .ok_or(RoutingFailure::NoService {
                        api: Arc::clone(&self.name),
                        service,
                    })?;
                let class = dify::class(&request.method, &below);
                let user_place = (service == DifyService::Api)
                    .then(|| user_place(&request.method, &below))
                    .flatten();
                (route, Service::Dify(service), upstream, class, user_place)
            }
        };
        Ok(Destination {
            api: Arc::clone(&self.name),
            route,
            surface: surface_of(service, request),
            upstream: Arc::clone(upstream),
            service,
            path_and_query: upstream.path_of(self.forwarded(request, below)),
            rules: Arc::clone(&self.rules),
            class,
            user_place,
            stripped: (self.strip && !self.base_path.is_empty())
                .then(|| Arc::clone(&self.base_path)),
        })
    }

    /// Path and query as they came, but for the base path where it is removed.
    fn forwarded(&self, request: &RequestHead, below: String) -> String {
        if !self.strip || self.base_path.is_empty() {
            return request.path_and_query.clone();
        }
        if let Some(stripped) = path::strip_base(&request.path_and_query, &self.base_path) {
            return stripped;
        }
        // The base path was written in another way, so what is below it is sent as it was understood.
        let mut forwarded = path::encoded(&below);
        if let Some(query) = request.query() {
            forwarded.push('?');
            forwarded.push_str(query);
        }
        forwarded
    }
}

/// Browsers asking the front end, or a back end that is not Dify's, get a page; everybody else Dify's JSON.
fn surface_of(service: Service, request: &RequestHead) -> Surface {
    let wants_page = request
        .headers
        .text("accept")
        .is_some_and(|accept| accept.contains("text/html"));
    let may_be_a_page = matches!(service, Service::Dify(DifyService::Web) | Service::BackEnd);
    if may_be_a_page && wants_page {
        Surface::Page
    } else {
        Surface::Dify
    }
}

//! Which API, route and service a request goes to, and what goes along.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apis;
mod hygiene;
mod robustness;
mod routes;
mod services;

use std::collections::BTreeMap;

use spillway_config::{
    AgentApiConfig, AgentPolicies, AgentProtocol, AgentRoute, AgentTimeouts, ByteSize, DifyService,
    DifyServices, PathMatch, RequestMatch, ValueMatch,
};
use spillway_forward::Router;
use spillway_platform::{Headers, RequestHead};

fn request(authority: &str, path: &str, headers: &[(&str, &str)]) -> RequestHead {
    let list = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    RequestHead {
        method: http::Method::POST,
        scheme: "http".to_owned(),
        authority: authority.to_owned(),
        path_and_query: path.to_owned(),
        headers: Headers::from_list(list.collect()),
        peer: Some("192.0.2.7:4000".parse().unwrap()),
    }
}

fn api(name: &str, domains: &[&str], base_path: &str) -> AgentApiConfig {
    AgentApiConfig {
        name: name.to_owned(),
        protocol: AgentProtocol::Dify,
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        base_path: base_path.to_owned(),
        strip_base_path: true,
        services: DifyServices {
            api: Some("http://api:5001".to_owned()),
            web: Some("http://web:3000/".to_owned()),
            plugin_daemon: None,
            socket_io: None,
        },
        redirect_to_https: false,
        url: None,
        max_body_size: ByteSize::from_mebibytes(100),
        policies: AgentPolicies::default(),
        routes: Vec::new(),
        timeouts: AgentTimeouts::default(),
    }
}

fn route(name: &str, path: PathMatch, header: Option<&str>, service: DifyService) -> AgentRoute {
    let headers = header.map(|value| ("X-App-Id".to_owned(), ValueMatch::Exact(value.to_owned())));
    AgentRoute {
        name: name.to_owned(),
        path,
        methods: Vec::new(),
        conditions: RequestMatch {
            headers: headers.into_iter().collect(),
            query: BTreeMap::new(),
        },
        service: Some(service),
    }
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

fn routed(router: &Router, request: &RequestHead) -> (String, String, String) {
    let found = router.route(request, &request.authority).unwrap();
    (
        found.api.to_string(),
        found.route.to_string(),
        format!("{}{}", found.upstream.authority, found.path_and_query),
    )
}

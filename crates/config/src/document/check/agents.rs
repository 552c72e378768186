//! Agent APIs.

use std::collections::{BTreeMap, BTreeSet};

use super::urls::{self, Rest};
use super::{duration, names, paths, rate_limits};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::rate_limit::is_token;
use crate::{AgentApi, AgentRoute, DifyService, Gateway, PathMatch, template};

pub(super) fn check(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let apis = || {
        gateway
            .agents
            .iter()
            .enumerate()
            .map(|(index, api)| (api, path.index(index)))
    };
    names::unique(
        "agent API",
        apis().map(|(api, at)| (api.name.as_str(), at.key("name"))),
        findings,
    );
    for (api, at) in apis() {
        names::name(&api.name, &at.key("name"), findings);
        check_base_path(api, &at.key("base_path"), findings);
        for (index, domain) in api.domains.iter().enumerate() {
            check_domain(domain, &at.key("domains").index(index), findings);
        }
        check_services(api, &at.key("services"), findings);
        check_routes(api, &at, findings);
        rate_limits::check(
            gateway,
            rate_limits::Traffic::Agent,
            &api.policies.rate_limits,
            &at.key("policies").key("rate_limits"),
            findings,
        );
        let timeouts = at.key("timeouts");
        duration(api.timeouts.connect, &timeouts.key("connect"), findings);
        duration(
            api.timeouts.first_byte,
            &timeouts.key("first_byte"),
            findings,
        );
        duration(api.timeouts.idle, &timeouts.key("idle"), findings);
    }
    check_places(apis(), findings);
}

fn check_base_path(api: &AgentApi, path: &Path, findings: &mut Findings<'_>) {
    paths::base_path(&api.base_path, path, findings);
    if let Some(mount) = paths::mount_of(&api.base_path) {
        findings.error(
            path,
            format!("`{mount}` belongs to another part of the gateway: publish this API elsewhere"),
        );
    }
}

fn check_domain(domain: &str, path: &Path, findings: &mut Findings<'_>) {
    if template::is_templated(domain) {
        return;
    }
    let host = domain.strip_prefix("*.").unwrap_or(domain);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
    };
    let advice = if host.contains("://") {
        "leave the scheme out"
    } else if host.contains(':') {
        "leave the port out"
    } else if host.contains('/') {
        "leave the path out; `base_path` is for it"
    } else if host.len() > 253 || !host.split('.').all(is_label) {
        "write one such as `dify.example.com` or `*.example.com`"
    } else {
        return;
    };
    findings.error(
        path,
        format!("`{}` is no host name: {advice}", shortened(domain)),
    );
}

fn check_services(api: &AgentApi, path: &Path, findings: &mut Findings<'_>) {
    let services = [
        DifyService::Api,
        DifyService::Web,
        DifyService::PluginDaemon,
    ];
    for service in services {
        if let Some(url) = api.services.url(service) {
            urls::http(
                url,
                Rest::Nothing,
                &path.key(service_key(service)),
                findings,
            );
        }
    }
    if services
        .iter()
        .all(|service| api.services.url(*service).is_none())
    {
        findings.warning(
            path,
            "no service is named, so every request gets 404: add `api`, `web` or `plugin_daemon`",
        );
    }
}

const fn service_key(service: DifyService) -> &'static str {
    match service {
        DifyService::Api => "api",
        DifyService::Web => "web",
        DifyService::PluginDaemon => "plugin_daemon",
    }
}

fn check_routes(api: &AgentApi, at: &Path, findings: &mut Findings<'_>) {
    let routes = at.key("routes");
    let all = || {
        api.routes
            .iter()
            .enumerate()
            .map(|(index, route)| (route, routes.index(index)))
    };
    names::unique(
        "route",
        all().map(|(route, at)| (route.name.as_str(), at.key("name"))),
        findings,
    );
    for (route, at) in all() {
        names::name(&route.name, &at.key("name"), findings);
        let (text, path) = match &route.path {
            PathMatch::Prefix(text) => (text, at.key("path")),
            PathMatch::Exact { exact } => (exact, at.key("path").key("exact")),
        };
        paths::route_path(text, &path, findings);
        if let Some(mount) = paths::mount_of(text).filter(|_| api.base_path == "/") {
            findings.warning(
                &path,
                format!("no request comes here: `{mount}` belongs to another part of the gateway"),
            );
        }
        if api.services.url(route.service).is_none() {
            let key = service_key(route.service);
            findings.error(
                &at.key("service"),
                format!("`services` has no `{key}`: add it there, or send this elsewhere"),
            );
        }
        check_conditions(route, &at, findings);
    }
}

fn check_conditions(route: &AgentRoute, at: &Path, findings: &mut Findings<'_>) {
    for (index, method) in route.methods.iter().enumerate() {
        let path = at.key("methods").index(index);
        let shown = shortened(method);
        if !is_token(method) {
            findings.error(
                &path,
                format!("`{shown}` is no method: write one such as `GET`"),
            );
        } else if method.contains(|letter: char| letter.is_ascii_lowercase()) {
            findings.error(
                &path,
                format!(
                    "`{shown}` is no method: write `{}`",
                    method.to_ascii_uppercase()
                ),
            );
        }
    }
    let headers = at.key("match").key("headers");
    let mut seen = BTreeSet::new();
    for name in route.conditions.headers.keys() {
        if !is_token(name) {
            findings.error_at_key(
                &headers.key(name),
                format!("`{}` is no header name", shortened(name)),
            );
        } else if !seen.insert(name.to_ascii_lowercase()) {
            findings.error_at_key(
                &headers.key(name),
                format!(
                    "the header `{}` is here twice: letter case makes no difference",
                    shortened(name)
                ),
            );
        }
    }
    for name in route.conditions.query.keys().filter(|name| name.is_empty()) {
        findings.error_at_key(
            &at.key("match").key("query").key(name),
            "an empty parameter name",
        );
    }
}

/// No two APIs may be published at one place.
fn check_places<'a>(apis: impl Iterator<Item = (&'a AgentApi, Path)>, findings: &mut Findings<'_>) {
    const ANY: &str = "";
    let mut owners = BTreeMap::new();
    for (api, at) in apis {
        let mut domains: Vec<(String, Path)> = Vec::new();
        for (index, domain) in api.domains.iter().enumerate() {
            domains.push((domain.to_ascii_lowercase(), at.key("domains").index(index)));
        }
        if domains.is_empty() {
            domains.push((ANY.to_owned(), at.key("base_path")));
        }
        for (domain, path) in domains {
            let line = findings.line(&at);
            let Some(owner) = owners.insert((domain.clone(), api.base_path.as_str()), line) else {
                continue;
            };
            let place = match domain.as_str() {
                ANY => format!("`{}` of every domain", api.base_path),
                domain => format!("`{}` of `{}`", api.base_path, shortened(domain)),
            };
            if owner == line {
                findings.error(&path, format!("{place} is named twice: remove one"));
            } else {
                findings.error(
                    &path,
                    format!(
                        "the agent API in line {owner} is published at {place} already: change one"
                    ),
                );
            }
        }
    }
}

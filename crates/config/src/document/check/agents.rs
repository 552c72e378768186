//! Agent APIs.

use std::collections::BTreeMap;

use super::digests::has_secret;
use super::limits::{self, LimitContext};
use super::urls::{self, Rest};
use super::{conditions, cors, duration, names, paths, token_limits};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::rate_limit::Traffic;
use crate::rate_limit::is_token;
use crate::{
    AgentApiConfig, AgentPolicies, AgentProtocol, AgentRoute, DifyService, Gateway, PathMatch,
};
use crate::{AgentTimeouts, TimeSpan, template};

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
        check_back_end(api, &at, findings);
        check_routes(api, &at, findings);
        if api.max_body_size.bytes() == 0 {
            findings.error(
                &at.key("max_body_size"),
                "a size of zero would let no body through: write a larger one",
            );
        }
        if let Some(cors) = &api.policies.cors {
            cors::check(cors, &at.key("policies").key("cors"), findings);
        }
        check_limits(gateway, api, &at.key("policies"), findings);
        check_timeouts(&api.timeouts, &at.key("timeouts"), findings);
        check_digests(gateway, api, &at.key("policies"), findings);
    }
    check_places(apis(), findings);
}

fn check_limits(
    gateway: &Gateway,
    api: &AgentApiConfig,
    policies: &Path,
    findings: &mut Findings<'_>,
) {
    let context = LimitContext {
        gateway,
        traffic: Traffic::Agent,
        // Prefixes of Dify's table have names, too.
        routes: None,
    };
    let AgentPolicies {
        rate_limits,
        token_limits,
        ..
    } = &api.policies;
    limits::check(
        &context,
        rate_limits,
        &policies.key("rate_limits"),
        findings,
    );
    token_limits::check(&context, token_limits, rate_limits, policies, findings);
    if api.protocol == AgentProtocol::Http && !token_limits.is_empty() {
        findings.error(
            &policies.key("token_limits"),
            "only runs of Dify tell of their tokens, and `protocol: http` is anybody's: limit requests by `rate_limits`",
        );
    }
}

fn check_base_path(api: &AgentApiConfig, path: &Path, findings: &mut Findings<'_>) {
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

fn check_timeouts(timeouts: &AgentTimeouts, path: &Path, findings: &mut Findings<'_>) {
    let all: [(TimeSpan, &'static str); 7] = [
        (timeouts.connect, "connect"),
        (timeouts.first_byte, "first_byte"),
        (timeouts.run_first_byte, "run_first_byte"),
        (timeouts.idle, "idle"),
        (timeouts.stream_idle, "stream_idle"),
        (timeouts.ceiling, "ceiling"),
        (timeouts.websocket, "websocket"),
    ];
    for (span, key) in all {
        duration(span, &path.key(key), findings);
    }
}

/// What clients send is counted under digests, which the configuration's secrets keep from being looked up. Dify's app
/// keys need none: they are secrets themselves.
fn check_digests(
    gateway: &Gateway,
    api: &AgentApiConfig,
    policies: &Path,
    findings: &mut Findings<'_>,
) {
    let requests = api.policies.rate_limits.iter();
    let requests = requests.flat_map(|rule| &rule.rule_items);
    let tokens = api.policies.token_limits.iter();
    let tokens = tokens.flat_map(|rule| &rule.rule_items);
    let by_requests = requests.map(|item| item.by.dimension);
    let by_tokens = tokens.map(|item| item.by.dimension);
    let counts_requests = by_requests.clone().any(|by| by.is_personal);
    let counts_tokens = by_tokens.clone().any(|by| by.is_personal);
    if has_secret(gateway) || !(counts_requests || counts_tokens) {
        return;
    }
    findings.warning(
        &policies.key(if counts_requests {
            "rate_limits"
        } else {
            "token_limits"
        }),
        "users, addresses or header values are counted under hashes, and their key is made of this file's secrets, of \
         which there are none: whoever can read the counts could find out by trying whose they are. To prevent that, \
         write digest_key: \"{{ digest_key }}\" below `state`, and set that variable to a random text",
    );
}

fn check_back_end(api: &AgentApiConfig, at: &Path, findings: &mut Findings<'_>) {
    let services = at.key("services");
    match (api.protocol, &api.url) {
        (AgentProtocol::Dify, Some(_)) => {
            findings.error(
                &at.key("url"),
                "`url` is for `protocol: http`: write where Dify's services are under `services`",
            );
        }
        (AgentProtocol::Dify, None) => check_services(api, &services, findings),
        (AgentProtocol::Http, _) if !api.services.is_empty() => {
            findings.error(
                &services,
                "`services` are Dify's: with `protocol: http` write `url`",
            );
        }
        (AgentProtocol::Http, Some(url)) => {
            urls::http(url, Rest::Nothing, &at.key("url"), findings);
        }
        (AgentProtocol::Http, None) => findings.error(
            at,
            "there is no `url`: say where this API's back end is, such as `http://backend:8080`",
        ),
    }
}

fn check_services(api: &AgentApiConfig, path: &Path, findings: &mut Findings<'_>) {
    for service in DifyService::ALL {
        if let Some(url) = api.services.url(service) {
            urls::http(url, Rest::Nothing, &path.key(service.as_str()), findings);
        }
    }
    if api.services.is_empty() {
        findings.warning(
            path,
            "no service is named, so every request gets 404: add `api`, `web` or `plugin_daemon`",
        );
    }
}

fn check_routes(api: &AgentApiConfig, at: &Path, findings: &mut Findings<'_>) {
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
        check_route_path(api, &route.path, &at.key("path"), findings);
        match (api.protocol, route.service) {
            (AgentProtocol::Dify, Some(service)) if api.services.url(service).is_none() => {
                let key = service.as_str();
                findings.error(
                    &at.key("service"),
                    format!("`services` has no `{key}`: add it there, or send this elsewhere"),
                );
            }
            (AgentProtocol::Http, Some(_)) => findings.error(
                &at.key("service"),
                "with `protocol: http` all routes go to `url`: remove this",
            ),
            _ => {}
        }
        check_conditions(route, &at, findings);
    }
}

fn check_route_path(
    api: &AgentApiConfig,
    path_match: &PathMatch,
    at: &Path,
    findings: &mut Findings<'_>,
) {
    let (text, path) = match path_match {
        PathMatch::Prefix(text) => (text, at.clone()),
        PathMatch::Exact { exact } => (exact, at.key("exact")),
        PathMatch::Regex { regex } => {
            conditions::regex(regex, &at.key("regex"), findings);
            return;
        }
    };
    paths::route_path(text, &path, findings);
    if let Some(mount) = paths::mount_of(text).filter(|_| api.base_path == "/") {
        findings.warning(
            &path,
            format!("no request comes here: `{mount}` belongs to another part of the gateway"),
        );
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
    let path = at.key("match");
    conditions::headers(&route.conditions.headers, &path.key("headers"), findings);
    conditions::query(&route.conditions.query, &path.key("query"), findings);
}

/// No two APIs may be published at one place.
fn check_places<'a>(
    apis: impl Iterator<Item = (&'a AgentApiConfig, Path)>,
    findings: &mut Findings<'_>,
) {
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

#[cfg(test)]
mod tests {
    fn warns(document: &str, dimension: &str) -> bool {
        let text = format!(
            "{document}\nagents:\n  - name: a\n    services: {{ api: http://api:5001 }}\n    policies:\n      rate_limits:\n        - rule_name: r\n          rule_items: [{{ {dimension}, limit_keys: [{{ key: '*', query_per_day: 1 }}] }}]\n"
        );
        let checked = crate::read(&text).unwrap();
        let is_meant = |message: &str| message.contains("counted under hashes");
        checked.warnings.iter().any(|one| is_meant(&one.message))
    }

    #[test]
    fn digests_that_nothing_secret_keeps_are_not_passed_over_in_silence() {
        let user = "limit_by_per_end_user: ''";
        for document in ["", "state: { redis: 'redis://redis:6379' }"] {
            assert!(warns(document, user), "{document}");
            assert!(
                warns(document, "limit_by_per_header: x-app-id"),
                "{document}"
            );
            assert!(!warns(document, "limit_by_per_dify_app: ''"), "{document}");
            assert!(!warns(document, "limit_by_per_route: ''"), "{document}");
        }
        for document in [
            "state: { redis: 'redis://:secret@redis:6379' }",
            "state: { redis: '{{ redis_url }}' }",
            "consumers: [{ name: c, credentials: [{ api_key: '{{ key }}' }] }]",
            "knowledge: [{ name: k, api_keys: ['{{ key }}'], backend: { type: dify_compatible, base_url: http://k:1 } }]",
        ] {
            assert!(!warns(document, user), "{document}");
        }
    }
}

//! Model APIs, their routes and targets.

use std::collections::{BTreeMap, BTreeSet};

use super::{duration, names, paths, rate_limits};
use crate::document::node::Path;
use crate::document::normalise::route_name;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::{Gateway, ModelApi, ModelRoute};

/// A component holds a request's body whole, in a memory of 4 GiB that it shares with other requests.
const MOST_BODY_BYTES: u64 = 256 * 1024 * 1024;

pub(super) fn check(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let apis = || {
        gateway
            .models
            .iter()
            .enumerate()
            .map(|(index, api)| (api, path.index(index)))
    };
    let consumers: BTreeSet<&str> = gateway
        .consumers
        .iter()
        .map(|consumer| consumer.name.as_str())
        .collect();
    let providers: BTreeSet<&str> = gateway
        .providers
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    names::unique(
        "model API",
        apis().map(|(api, at)| (api.name.as_str(), at.key("name"))),
        findings,
    );
    for (api, at) in apis() {
        names::name(&api.name, &at.key("name"), findings);
        check_base_path(api, &at.key("base_path"), findings);
        if api.max_body_size.bytes() > MOST_BODY_BYTES {
            findings.error(
                &at.key("max_body_size"),
                "more than 256MiB would not fit into a component's memory beside other requests: write less",
            );
        }
        if api.max_body_size.bytes() == 0 {
            findings.error(
                &at.key("max_body_size"),
                "a size of zero would let no request through",
            );
        }
        check_auth(&consumers, api, &at, findings);
        rate_limits::check(
            gateway,
            rate_limits::Traffic::Model,
            &api.policies.rate_limits,
            &at.key("policies").key("rate_limits"),
            findings,
        );
        check_routes(&providers, api, &at.key("routes"), findings);
    }
    check_places(apis(), findings);
}

fn check_base_path(api: &ModelApi, path: &Path, findings: &mut Findings<'_>) {
    paths::base_path(&api.base_path, path, findings);
    if !paths::is_at_or_below(&api.base_path, paths::MODEL_MOUNT) {
        findings.error(
            path,
            "model APIs are published at `/llm` or below it, such as `/llm/team-a`",
        );
    }
}

fn check_auth(consumers: &BTreeSet<&str>, api: &ModelApi, at: &Path, findings: &mut Findings<'_>) {
    let path = at.key("policies").key("auth");
    let Some(auth) = &api.policies.auth else {
        findings.warning(
            &path,
            "without `policies.auth` anyone who can reach the gateway may call: name the consumers who may",
        );
        return;
    };
    if auth.is_empty() {
        findings.warning(
            &path,
            "the list is empty, so nobody may call: name the consumers who may",
        );
    }
    for (index, name) in auth.iter().enumerate() {
        names::known(
            "consumer",
            name,
            consumers,
            "consumers",
            &path.index(index),
            findings,
        );
    }
}

fn check_routes(
    providers: &BTreeSet<&str>,
    api: &ModelApi,
    routes: &Path,
    findings: &mut Findings<'_>,
) {
    if api.routes.is_empty() {
        findings.error(
            routes,
            "no routes, so every call gets 404: add one with `targets`",
        );
    }
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
        // A normal form has the names of nameless routes written out, which may be any model pattern.
        if !route.name.is_empty() && route.name != route_name(route) {
            names::name(&route.name, &at.key("name"), findings);
        }
        for (index, pattern) in route.conditions.model.iter().enumerate() {
            if pattern.is_empty() {
                findings.error(
                    &at.key("match").key("model").index(index),
                    "an empty model name",
                );
            }
        }
        check_targets(providers, route, &at, findings);
        check_fallback(route, &at.key("fallback"), findings);
    }
    check_reach(api, routes, findings);
}

fn check_targets(
    providers: &BTreeSet<&str>,
    route: &ModelRoute,
    at: &Path,
    findings: &mut Findings<'_>,
) {
    let targets = at.key("targets");
    if route.targets.is_empty() {
        findings.error(
            &targets,
            "no targets, so there is nowhere to send a call: add one with `provider`",
        );
    }
    for (index, target) in route.targets.iter().enumerate() {
        let at = targets.index(index);
        names::known(
            "provider",
            &target.provider,
            providers,
            "providers",
            &at.key("provider"),
            findings,
        );
        if target.model.as_ref().is_some_and(String::is_empty) {
            findings.error(
                &at.key("model"),
                "an empty model name: leave `model` out to ask for the same one",
            );
        }
        duration(target.timeout, &at.key("timeout"), findings);
        if let Some(timeout) = target.first_token_timeout {
            duration(timeout, &at.key("first_token_timeout"), findings);
        }
    }
}

fn check_fallback(route: &ModelRoute, at: &Path, findings: &mut Findings<'_>) {
    let attempts = usize::try_from(route.fallback.max_attempts).unwrap_or(usize::MAX);
    let targets = route.targets.len();
    if attempts > targets {
        findings.warning(
            &at.key("max_attempts"),
            format!("`targets` has only {targets}, and each is tried once"),
        );
    }
    duration(route.fallback.deadline, &at.key("deadline"), findings);
    duration(route.fallback.keep_alive, &at.key("keep_alive"), findings);
}

/// Tells of routes all of whose models go to routes before them.
fn check_reach(api: &ModelApi, routes: &Path, findings: &mut Findings<'_>) {
    /// Each later pattern is held against them, so their number is bounded.
    const MOST_WILDCARDS: usize = 200;
    let mut exact: BTreeSet<&str> = BTreeSet::new();
    let mut wildcards: Vec<&str> = Vec::new();
    for (index, route) in api.routes.iter().enumerate() {
        let patterns = patterns(route);
        let taker = |pattern: &&str| {
            let wildcard = || {
                wildcards
                    .iter()
                    .find(|taker| covers(taker, pattern))
                    .copied()
            };
            exact.get(*pattern).copied().or_else(wildcard)
        };
        let takers: Option<Vec<&str>> = patterns.iter().map(taker).collect();
        if let Some(taker) = takers.as_ref().and_then(|takers| takers.first()) {
            let message = format!(
                "no call comes here, as `{}` in a route above takes them all: move this route before it",
                shortened(taker)
            );
            findings.warning(&routes.index(index), message);
        }
        for pattern in patterns {
            if !pattern.contains('*') {
                exact.insert(pattern);
            } else if wildcards.len() < MOST_WILDCARDS {
                wildcards.push(pattern);
            }
        }
    }
}

fn patterns(route: &ModelRoute) -> Vec<&str> {
    if route.conditions.model.is_empty() {
        return vec!["*"];
    }
    route.conditions.model.iter().map(String::as_str).collect()
}

/// Whether every model that `pattern` takes is one that `taker` takes. A star of `pattern` is met by stars only.
fn covers(taker: &str, pattern: &str) -> bool {
    let mut parts = taker.split('*');
    let Some(mut rest) = parts
        .next()
        .and_then(|beginning| pattern.strip_prefix(beginning))
    else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

/// No two APIs may be published at one place. And where one base path continues another by what OpenAI's own
/// paths begin with, it would be open which API a request is for.
fn check_places<'a>(
    apis: impl Iterator<Item = (&'a ModelApi, Path)> + Clone,
    findings: &mut Findings<'_>,
) {
    const OWN_PATHS: [&str; 5] = ["v1", "chat", "completions", "embeddings", "models"];
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for (api, at) in apis.clone() {
        let line = findings.line(&at);
        if let Some(first) = lines.get(api.base_path.as_str()) {
            let place = shortened(&api.base_path);
            let message = format!(
                "the model API in line {first} is published at `{place}` already: change one"
            );
            findings.error(&at.key("base_path"), message);
        } else {
            lines.insert(&api.base_path, line);
        }
    }
    for (api, at) in apis {
        for (slash, _) in api.base_path.match_indices('/') {
            let Some((above, below)) = api.base_path.split_at_checked(slash) else {
                continue;
            };
            let word = below.split('/').nth(1).unwrap_or_default();
            if let Some(line) = lines.get(above).filter(|_| OWN_PATHS.contains(&word)) {
                let message = format!(
                    "`/{word}` is a path of the model API in line {line}, below whose base path this one is: \
                     choose another word"
                );
                findings.error(&at.key("base_path"), message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_takes_whole() {
        for (taker, pattern, expected) in [
            ("*", "gpt-4o", true),
            ("*", "*", true),
            ("gpt-*", "gpt-4o*", true),
            ("gpt-*", "*", false),
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o*", false),
            ("*-mini", "gpt-*-mini", true),
            ("*-mini", "gpt-*", false),
            ("a*b*c", "axbyc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(covers(taker, pattern), expected, "{taker} over {pattern}");
        }
    }
}

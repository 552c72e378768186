//! Routes of model APIs and their targets.

use std::collections::{BTreeMap, BTreeSet};

use super::conditions;
use super::{duration, names, reach};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::{
    ContextWindow, Fallback, FallbackCondition, Gateway, ModelApiConfig, ModelRoute, OnExceeded,
    Parameters, PathMatch,
};

/// The names that routes may refer to.
pub(super) struct Names<'g> {
    pub consumers: BTreeSet<&'g str>,
    providers: BTreeSet<&'g str>,
}

impl<'g> Names<'g> {
    pub fn of(gateway: &'g Gateway) -> Self {
        let consumers = gateway.consumers.iter();
        let providers = gateway.providers.iter();
        Self {
            consumers: consumers.map(|consumer| consumer.name.as_str()).collect(),
            providers: providers.map(|provider| provider.name.as_str()).collect(),
        }
    }
}

pub(super) fn check(
    known: &Names<'_>,
    api: &ModelApiConfig,
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
    let mut nameless: BTreeMap<&str, usize> = BTreeMap::new();
    for (route, at) in all().filter(|(route, _)| route.name.is_empty()) {
        let (name, line) = (route.default_name(), findings.line(&at));
        match nameless.get(name) {
            None => {
                nameless.insert(name, line);
            }
            Some(first) => findings.warning(
                &at,
                format!(
                    "in metrics and limits this route is called `{}`, as the one in line {first}: give it a `name`",
                    shortened(name)
                ),
            ),
        }
    }
    for (route, at) in all() {
        // A normal form has the names of nameless routes written out, which may be any model pattern.
        if !route.name.is_empty() && route.name != route.default_name() {
            names::name(&route.name, &at.key("name"), findings);
        }
        check_conditions(known, route, &at, findings);
        for (index, name) in route.auth.iter().flatten().enumerate() {
            let kept_out = api
                .policies
                .auth
                .as_ref()
                .is_some_and(|auth| !auth.contains(name));
            if kept_out {
                findings.warning(
                    &at.key("auth").index(index),
                    format!(
                        "`policies.auth` does not let `{}` in: name it there, too",
                        shortened(name)
                    ),
                );
            }
        }
        check_targets(&known.providers, route, &at, findings);
        check_parameters(&route.parameters, &at.key("parameters"), findings);
        check_fallback(route, &at.key("fallback"), findings);
        if is_stateful_alone(route) {
            check_sent_once(route, &at, findings);
        }
    }
    reach::check(api, routes, findings);
}

fn check_conditions(known: &Names<'_>, route: &ModelRoute, at: &Path, findings: &mut Findings<'_>) {
    let path = at.key("match");
    for (index, pattern) in route.conditions.model.iter().enumerate() {
        conditions::model(pattern, &path.key("model").index(index), findings);
    }
    match &route.conditions.path {
        None => {}
        Some(PathMatch::Regex { regex }) => {
            conditions::regex(regex, &path.key("path").key("regex"), findings);
        }
        Some(PathMatch::Prefix(text) | PathMatch::Exact { exact: text })
            if !text.starts_with("/v1/") =>
        {
            findings.error(
                &path.key("path"),
                "an endpoint is written from its version on, such as `/v1/embeddings`",
            );
        }
        Some(PathMatch::Prefix(_) | PathMatch::Exact { .. }) => {}
    }
    conditions::headers(&route.conditions.headers, &path.key("headers"), findings);
    let may_use = route.auth.iter().flatten().map(|name| (name, "auth"));
    for (path, name, index) in route
        .conditions
        .consumers
        .iter()
        .enumerate()
        .map(|(index, name)| (path.key("consumers"), name, index))
        .chain(
            may_use
                .enumerate()
                .map(|(index, (name, key))| (at.key(key), name, index)),
        )
    {
        names::known(
            "consumer",
            name,
            &known.consumers,
            "consumers",
            &path.index(index),
            findings,
        );
    }
}

fn check_window(
    window: Option<ContextWindow>,
    has_next: bool,
    at: &Path,
    findings: &mut Findings<'_>,
) {
    let Some(window) = window else {
        return;
    };
    let at = at.key("context_window");
    if window.max_input_tokens == 0 {
        findings.error(
            &at.key("max_input_tokens"),
            "a window of zero would let nothing through: write a larger one",
        );
    }
    if window.on_exceeded == OnExceeded::Next && !has_next {
        findings.warning(
            &at.key("on_exceeded"),
            "there is no next target here, so a larger call is refused: add one, or leave this out",
        );
    }
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
    check_window(route.context_window, route.targets.len() > 1, at, findings);
    if route.max_output_tokens == Some(0) {
        findings.error(
            &at.key("max_output_tokens"),
            "a model that answers nothing: write how many tokens its answers may have",
        );
    }
    for (index, target) in route.targets.iter().enumerate() {
        let at = targets.index(index);
        let has_next = index.saturating_add(1) < route.targets.len() || target.weight.is_some();
        check_window(target.context_window, has_next, &at, findings);
        let is_drawn = target.weight.is_some() && route.targets.len() > 1;
        let refuses = |window: ContextWindow| window.on_exceeded == OnExceeded::Refuse;
        if is_drawn && target.context_window.is_some_and(refuses) {
            findings.warning(
                &at.key("context_window"),
                "which target a call begins with is drawn, so that a long one is refused now and served then: write `on_exceeded: next`",
            );
        }
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
        for (pattern, name) in &target.models {
            if pattern.is_empty() || name.is_empty() {
                findings.error_at_key(&at.key("models").key(pattern), "an empty model name");
            }
        }
        if target.model.is_some() && !target.models.is_empty() {
            findings.error(
                &at.key("models"),
                "`model` is the name for all calls already: write one or the other",
            );
        }
        for (key, timeout) in [
            ("timeout", target.timeout),
            ("first_token_timeout", target.first_token_timeout),
        ] {
            let Some(timeout) = timeout else {
                continue;
            };
            let at = at.key(key);
            duration(timeout, &at, findings);
            let has_successor = index.saturating_add(1) < route.targets.len();
            if has_successor && timeout >= route.fallback.deadline {
                findings.warning(
                    &at,
                    format!(
                        "a target that is silent for so long leaves the next ones no time: write less than the `deadline`, {}",
                        route.fallback.deadline
                    ),
                );
            }
        }
    }
    let weights = || route.targets.iter().filter_map(|target| target.weight);
    if weights().count() > 0 && weights().all(|weight| weight == 0) {
        findings.error(
            &targets,
            "all weights are 0, so no target could begin: give one of them more, or remove them",
        );
    }
}

fn check_parameters(parameters: &Parameters, at: &Path, findings: &mut Findings<'_>) {
    /// What the gateway itself sees to.
    const OWN: [&str; 4] = ["model", "stream", "stream_options", "messages"];
    let defaults = parameters.defaults.keys().map(|name| ("defaults", name));
    let caps = parameters.caps.keys().map(|name| ("caps", name));
    let forced = parameters.forced.keys().map(|name| ("forced", name));
    for (key, name) in defaults.chain(caps).chain(forced) {
        if OWN.contains(&name.as_str()) {
            findings.error_at_key(
                &at.key(key).key(name),
                format!("`{name}` cannot be set here: it is the client's, or the target's"),
            );
        }
    }
    for (name, cap) in &parameters.caps {
        let at = at.key("caps").key(name);
        if cap.as_f64().is_some_and(|cap| cap < 0.0) {
            findings.error(
                &at,
                "a negative cap, which to some engines is no limit at all: write 0 or more",
            );
        }
        if parameters.forced.contains_key(name) {
            findings.warning(
                &at,
                "`forced` sets this one whatever comes: the cap does nothing",
            );
        }
    }
}

fn check_fallback(route: &ModelRoute, at: &Path, findings: &mut Findings<'_>) {
    if route
        .fallback
        .on
        .contains(&FallbackCondition::GatewayRefusal)
        && route.targets.len() < 2
    {
        findings.warning(
            &at.key("on"),
            "`gateway_refusal` leads to the second target, and there is none: add one, or remove it",
        );
    }
    duration(route.fallback.deadline, &at.key("deadline"), findings);
    duration(route.fallback.keep_alive, &at.key("keep_alive"), findings);
    duration(route.fallback.back_off, &at.key("back_off"), findings);
}

/// Whether the route's path lets in nothing but files, batches and responses.
fn is_stateful_alone(route: &ModelRoute) -> bool {
    const ROOTS: [&str; 3] = ["/v1/files", "/v1/batches", "/v1/responses"];
    const OTHERS: [&str; 3] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];
    match &route.conditions.path {
        None => false,
        Some(PathMatch::Prefix(path) | PathMatch::Exact { exact: path }) => {
            ROOTS.iter().any(|root| {
                path.strip_prefix(root)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        }
        Some(PathMatch::Regex { regex }) => {
            spillway_pattern::Pattern::new(regex).is_ok_and(|regex| {
                ROOTS.iter().any(|path| regex.is_match(path))
                    && !OTHERS.iter().any(|path| regex.is_match(path))
            })
        }
    }
}

/// What a provider keeps is asked of one provider, once: tells of settings that would have it otherwise.
fn check_sent_once(route: &ModelRoute, at: &Path, findings: &mut Findings<'_>) {
    if route.targets.len() > 1 {
        findings.warning(
            &at.key("targets").index(1),
            "files, batches and responses go to the first target alone: remove the others, or give them routes of their own",
        );
    }
    if route.fallback != Fallback::default() {
        findings.warning(
            &at.key("fallback"),
            "files, batches and responses are sent once, to the first target: `fallback` does nothing here",
        );
    }
}

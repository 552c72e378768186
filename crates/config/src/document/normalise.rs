//! Defaults that depend on other values, and one spelling for what has several.

use std::collections::BTreeMap;

use crate::{AgentApiConfig, AgentRoute, Gateway, KnowledgeBackend, ValueMatch};

/// Names nameless routes, writes domains and header names in lower case, and ends no URL with a slash. Leaves out
/// what was read for its writer's sake alone.
pub(super) fn normalise(mut gateway: Gateway) -> Gateway {
    for api in &mut gateway.agents {
        normalise_agent(api);
    }
    for route in gateway.models.iter_mut().flat_map(|api| &mut api.routes) {
        if route.name.is_empty() {
            route.name = route.name_or_default().to_owned();
        }
        let headers = std::mem::take(&mut route.conditions.headers);
        route.conditions.headers = in_lower_case(headers);
    }
    forget_redis(&mut gateway);
    for provider in &mut gateway.providers {
        if provider.base_url.is_none() && provider.endpoints.is_empty() {
            provider.base_url = provider.provider_type.base_url().map(str::to_owned);
        }
        provider.base_url.iter_mut().for_each(trim_slashes);
        provider.endpoints.iter_mut().for_each(trim_slashes);
        for name in &mut provider.forward_headers {
            name.make_ascii_lowercase();
        }
    }
    for api in &mut gateway.knowledge {
        trim_slashes(match &mut api.backend {
            KnowledgeBackend::Ragflow(backend) => &mut backend.base_url,
            KnowledgeBackend::DifyCompatible(backend) => &mut backend.base_url,
        });
    }
    gateway
}

/// It may hold a password, which no component needs to see.
fn forget_redis(gateway: &mut Gateway) {
    let of_agents = gateway.agents.iter_mut();
    let of_agents = of_agents.map(|api| {
        let policies = &mut api.policies;
        (&mut policies.rate_limits, &mut policies.token_limits)
    });
    let of_models = gateway.models.iter_mut();
    let of_models = of_models.map(|api| {
        let policies = &mut api.policies;
        (&mut policies.rate_limits, &mut policies.token_limits)
    });
    let of_knowledge = gateway.knowledge.iter_mut();
    let of_knowledge = of_knowledge.map(|api| {
        let policies = &mut api.policies;
        (&mut policies.rate_limits, &mut policies.token_limits)
    });
    for (requests, tokens) in of_agents.chain(of_models).chain(of_knowledge) {
        requests.iter_mut().for_each(|limit| limit.redis = None);
        tokens.iter_mut().for_each(|limit| limit.redis = None);
    }
}

fn normalise_agent(api: &mut AgentApiConfig) {
    for domain in &mut api.domains {
        domain.make_ascii_lowercase();
    }
    let services = &mut api.services;
    for url in [
        &mut services.api,
        &mut services.web,
        &mut services.plugin_daemon,
    ]
    .into_iter()
    .flatten()
    {
        trim_slashes(url);
    }
    for AgentRoute { conditions, .. } in &mut api.routes {
        let headers = std::mem::take(&mut conditions.headers);
        conditions.headers = in_lower_case(headers);
    }
}

fn in_lower_case(headers: BTreeMap<String, ValueMatch>) -> BTreeMap<String, ValueMatch> {
    headers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect()
}

fn trim_slashes(url: &mut String) {
    while url.ends_with('/') {
        url.pop();
    }
}

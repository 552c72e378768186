//! Model vendors and engines.

use std::collections::BTreeSet;

use super::urls::{self, Rest};
use super::{names, secret};
use crate::Gateway;
use crate::document::node::Path;
use crate::document::report::Findings;

pub(super) fn check(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let providers = || {
        gateway
            .providers
            .iter()
            .enumerate()
            .map(|(index, provider)| (provider, path.index(index)))
    };
    names::unique(
        "provider",
        providers().map(|(provider, at)| (provider.name.as_str(), at.key("name"))),
        findings,
    );

    for (provider, at) in providers() {
        names::name(&provider.name, &at.key("name"), findings);
        urls::http(
            &provider.base_url,
            Rest::Path,
            &at.key("base_url"),
            findings,
        );
        for (index, key) in provider.api_keys.iter().enumerate() {
            secret(key, &at.key("api_keys").index(index), findings);
        }
    }
}

/// Tells of providers that no target names.
pub(super) fn check_use(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let targets = gateway
        .models
        .iter()
        .flat_map(|api| &api.routes)
        .flat_map(|route| &route.targets);
    let used: BTreeSet<&str> = targets.map(|target| target.provider.as_str()).collect();
    for (index, provider) in gateway.providers.iter().enumerate() {
        if !used.contains(provider.name.as_str()) {
            findings.warning(
                &path.index(index),
                "no target names this provider: use it in a route, or remove it",
            );
        }
    }
}

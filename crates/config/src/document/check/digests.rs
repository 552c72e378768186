//! What keys the digests by which limits count.

use super::super::node::Path;
use super::super::report::Findings;
use super::secret;
use crate::{Gateway, KnowledgeBackend, template};

/// Checks `state.digest_key`.
pub(super) fn check(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let digest_key = &gateway.state.digest_key;
    if !digest_key.is_empty() {
        secret(digest_key, path, findings);
    }
}

/// Tells what hangs on its absence, where something does.
pub(super) fn check_absence(gateway: &Gateway, root: &Path, findings: &mut Findings<'_>) {
    if let Some(limits) = first_limits(gateway, root)
        && gateway.state.digest_key.is_empty()
        && has_secret(gateway)
    {
        findings.warning(
            &limits,
            "without `state.digest_key` all secrets of this file together key what limits count by: changing any of them, such as a provider's key, sets every count to zero, and replicas count apart until each has the new one. Write digest_key: \"{{ digest_key }}\" below `state`, and set that variable to a random text, once",
        );
    }
}

fn first_limits(gateway: &Gateway, root: &Path) -> Option<Path> {
    let agents = gateway.agents.iter().map(|api| {
        let policies = &api.policies;
        (policies.rate_limits.len(), policies.token_limits.len())
    });
    let models = gateway.models.iter().map(|api| {
        let policies = &api.policies;
        (policies.rate_limits.len(), policies.token_limits.len())
    });
    let knowledge = gateway.knowledge.iter();
    let knowledge = knowledge.map(|api| (api.policies.rate_limits.len(), 0));
    let of = |kind: &'static str| move |(index, limits)| (kind, index, limits);
    let mut apis = agents
        .enumerate()
        .map(of("agents"))
        .chain(models.enumerate().map(of("models")))
        .chain(knowledge.enumerate().map(of("knowledge")));
    apis.find_map(|(kind, index, limits): (_, _, (usize, usize))| {
        let key = match limits {
            (0, 0) => return None,
            (0, _) => "token_limits",
            _ => "rate_limits",
        };
        Some(root.key(kind).index(index).key("policies").key(key))
    })
}

/// Whether something that nobody else knows keeps digests from being looked up.
pub(super) fn has_secret(gateway: &Gateway) -> bool {
    let redis = &gateway.state.redis;
    !gateway.state.digest_key.is_empty()
        || template::is_templated(redis)
        || redis.contains('@')
        || !gateway.consumers.is_empty()
        || gateway.providers.iter().any(|one| !one.api_keys.is_empty())
        || gateway.knowledge.iter().any(|one| {
            let engine_has = match &one.backend {
                KnowledgeBackend::Ragflow(_) => true,
                KnowledgeBackend::DifyCompatible(engine) => !engine.api_key.is_empty(),
            };
            engine_has || !one.api_keys.is_empty()
        })
}

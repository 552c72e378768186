//! Knowledge APIs and the engines behind them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::limits::{self, LimitContext};
use super::urls::{self, Rest};
use super::{duration, names, secret, token_limits};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::rate_limit::Traffic;
use crate::{Gateway, KnowledgeApiConfig, KnowledgeBackend, RagflowBackend};

/// How long Dify waits for an answer (`SSRF_DEFAULT_READ_TIME_OUT`, its default).
const DIFY_WAITS: Duration = Duration::from_secs(5);

pub(super) fn check(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let apis = || {
        gateway
            .knowledge
            .iter()
            .enumerate()
            .map(|(index, api)| (api, path.index(index)))
    };
    names::unique(
        "knowledge API",
        apis().map(|(api, at)| (api.name.as_str(), at.key("name"))),
        findings,
    );
    for (api, at) in apis() {
        names::name(&api.name, &at.key("name"), findings);
        if matches!(api.name.as_str(), "." | "..") {
            findings.error(
                &at.key("name"),
                "this name cannot stand in a URL: write one with letters",
            );
        }
        check_keys(api, &at.key("api_keys"), findings);
        let deadline = at.key("deadline");
        duration(api.deadline, &deadline, findings);
        if api.deadline.duration() >= DIFY_WAITS {
            findings.warning(
                &deadline,
                "Dify gives up after 5s and asks again, up to three times: write less, such as `4500ms`",
            );
        }
        let context = LimitContext {
            gateway,
            traffic: Traffic::Knowledge,
            // It has none.
            routes: Some(Vec::new()),
        };
        let policies = at.key("policies");
        let rate_limits = &api.policies.rate_limits;
        limits::check(
            &context,
            rate_limits,
            &policies.key("rate_limits"),
            findings,
        );
        token_limits::refuse(&api.policies.token_limits, &policies, findings);
        check_backend(&api.backend, &at.key("backend"), findings);
    }
}

fn check_keys(api: &KnowledgeApiConfig, path: &Path, findings: &mut Findings<'_>) {
    if api.api_keys.is_empty() {
        findings.warning(
            path,
            "without `api_keys` anyone who can reach the gateway may search: add one, and set it in Dify",
        );
    }
    let mut seen = BTreeSet::new();
    for (index, key) in api.api_keys.iter().enumerate() {
        let at = path.index(index);
        secret(key, &at, findings);
        if !seen.insert(key.as_str()) {
            findings.error(&at, "this knowledge API has the same key twice: remove one");
        }
    }
}

fn check_backend(backend: &KnowledgeBackend, path: &Path, findings: &mut Findings<'_>) {
    let base_url = path.key("base_url");
    urls::http(backend.base_url(), Rest::Path, &base_url, findings);
    let without_slash = backend.base_url().trim_end_matches('/');
    match backend {
        KnowledgeBackend::Ragflow(ragflow) => {
            if without_slash.ends_with("/api/v1") {
                findings.warning(
                    &base_url,
                    "the gateway adds `/api/v1` itself: remove it from this URL",
                );
            }
            secret(&ragflow.api_key, &path.key("api_key"), findings);
            check_ragflow(ragflow, path, findings);
        }
        KnowledgeBackend::DifyCompatible(engine) => {
            if without_slash.ends_with("/retrieval") {
                findings.warning(
                    &base_url,
                    "the gateway adds `/retrieval` itself: remove it from this URL",
                );
            }
            if !engine.api_key.is_empty() {
                secret(&engine.api_key, &path.key("api_key"), findings);
            }
        }
    }
}

fn check_ragflow(ragflow: &RagflowBackend, path: &Path, findings: &mut Findings<'_>) {
    let lists = [
        ("dataset_ids", &ragflow.dataset_ids),
        ("document_ids", &ragflow.document_ids),
        ("cross_languages", &ragflow.cross_languages),
    ];
    for (key, list) in lists {
        for (index, text) in list.iter().enumerate() {
            if text.trim().is_empty() {
                findings.error(
                    &path.key(key).index(index),
                    "an empty entry: write one, or remove it",
                );
            }
        }
    }
    if ragflow.rerank_id.as_deref().is_some_and(str::is_empty) {
        findings.error(
            &path.key("rerank_id"),
            "an empty name: write one, or leave the key out",
        );
    }
    if ragflow.top_k == 0 {
        findings.error(
            &path.key("top_k"),
            "RAGFlow compares at least one chunk: write a larger number, or leave the key out",
        );
    }
}

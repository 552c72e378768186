//! Model APIs: where they are published, and who may call.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::{self, LimitContext};
use super::model_routes::{self, Names};
use super::{names, paths, token_limits};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::rate_limit::Traffic;
use crate::{Gateway, ModelApiConfig, ModelPolicies, ModelRoute};

/// A component holds a request's body whole, in a memory of 4 GiB that it shares with other requests.
const MAX_BODY_BYTES: u64 = 256 * 1024 * 1024;

pub(super) fn check(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let apis = || {
        gateway
            .models
            .iter()
            .enumerate()
            .map(|(index, api)| (api, path.index(index)))
    };
    let names = Names::of(gateway);
    names::unique(
        "model API",
        apis().map(|(api, at)| (api.name.as_str(), at.key("name"))),
        findings,
    );
    for (api, at) in apis() {
        names::name(&api.name, &at.key("name"), findings);
        check_base_path(api, &at.key("base_path"), findings);
        if api.max_body_size.bytes() > MAX_BODY_BYTES {
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
        check_auth(&names.consumers, api, &at, findings);
        if api
            .policies
            .api_key_query
            .as_ref()
            .is_some_and(String::is_empty)
        {
            findings.error(
                &at.key("policies").key("api_key_query"),
                "an empty parameter name: leave the key out to take keys from headers alone",
            );
        }
        check_limits(gateway, api, &at.key("policies"), findings);
        model_routes::check(&names, api, &at.key("routes"), findings);
    }
    check_places(apis(), findings);
}

fn check_limits(
    gateway: &Gateway,
    api: &ModelApiConfig,
    policies: &Path,
    findings: &mut Findings<'_>,
) {
    let routes = api.routes.iter();
    let context = LimitContext {
        gateway,
        traffic: Traffic::Model,
        routes: Some(routes.map(ModelRoute::name_or_default).collect()),
    };
    let ModelPolicies {
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
}

fn check_base_path(api: &ModelApiConfig, path: &Path, findings: &mut Findings<'_>) {
    paths::base_path(&api.base_path, path, findings);
    if !paths::is_at_or_below(&api.base_path, paths::MODEL_MOUNT) {
        findings.error(
            path,
            "model APIs are published at `/llm` or below it, such as `/llm/team-a`",
        );
    }
}

fn check_auth(
    consumers: &BTreeSet<&str>,
    api: &ModelApiConfig,
    at: &Path,
    findings: &mut Findings<'_>,
) {
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

/// No two APIs may be published at one place. And where one base path continues another by what OpenAI's own
/// paths begin with, it would be open which API a request is for.
fn check_places<'a>(
    apis: impl Iterator<Item = (&'a ModelApiConfig, Path)> + Clone,
    findings: &mut Findings<'_>,
) {
    const OWN_PATHS: [&str; 8] = [
        "v1",
        "chat",
        "completions",
        "embeddings",
        "models",
        "files",
        "batches",
        "responses",
    ];
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

//! Model vendors and engines.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use super::urls::{self, Rest};
use super::{duration, forward_headers, names, secret};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::{CircuitBreaker, Gateway, LoadBalance, Provider, ProviderKey};

/// How long before a key runs out `check` begins to warn: two weeks.
const WARN_BEFORE_SECONDS: u64 = 14 * 24 * 60 * 60;

/// How many outcomes a breaker keeps of an endpoint at most.
const MAX_OUTCOMES: u32 = 100;

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
        check_urls(provider, &at, findings);
        check_keys(&provider.api_keys, &at.key("api_keys"), findings);
        let forwarded = at.key("forward_headers");
        forward_headers::check(&provider.forward_headers, &forwarded, findings);
        check_breaker(provider.breaker, &at.key("breaker"), findings);
        if !provider.provider_type.is_asked_for_usage() && provider.stream_options.is_some() {
            findings.warning(
                &at.key("stream_options"),
                "streams of this type tell their usage unasked, and the vendor may refuse to be asked: leave this out",
            );
        }
        if provider.load_balance != LoadBalance::default() && provider.urls().count() < 2 {
            findings.warning(
                &at.key("load_balance"),
                "there is one endpoint, so there is nothing to balance: list the others under `endpoints`, or leave this out",
            );
        }
    }
}

fn check_urls(provider: &Provider, at: &Path, findings: &mut Findings<'_>) {
    match (&provider.base_url, provider.endpoints.is_empty()) {
        // That of the type's vendor.
        (None, true) if provider.urls().next().is_some() => {}
        (None, true) => findings.error(
            at,
            "no URL, so there is nowhere to send a call: add `base_url`, or `endpoints` for several machines",
        ),
        (Some(_), false) => findings.error(
            &at.key("endpoints"),
            "`base_url` is one endpoint already: write all of them under `endpoints`, and remove `base_url`",
        ),
        (Some(url), true) => {
            let at = at.key("base_url");
            urls::http(url, Rest::Path, &at, findings);
            check_end(url, &at, findings);
            check_vendor(provider, url, &at, findings);
        }
        (None, false) => {
            let mut seen = BTreeSet::new();
            for (index, url) in provider.endpoints.iter().enumerate() {
                let at = at.key("endpoints").index(index);
                urls::http(url, Rest::Path, &at, findings);
                check_end(url, &at, findings);
                if !seen.insert(url.trim_end_matches('/')) {
                    findings.error(&at, "this endpoint is here twice: remove one");
                }
            }
        }
    }
}

/// Somewhere else at the vendor's host.
fn check_vendor(provider: &Provider, url: &str, at: &Path, findings: &mut Findings<'_>) {
    let Some(known) = provider.provider_type.base_url() else {
        return;
    };
    let host = |url: &str| {
        let rest = url.split_once("://").map(|(_, rest)| rest.to_owned());
        rest.and_then(|rest| rest.split('/').next().map(str::to_ascii_lowercase))
    };
    let has_version = |url: &str| url.trim_end_matches('/').ends_with("/v1");
    if host(url) == host(known) && has_version(known) && !has_version(url) {
        findings.warning(
            at,
            format!("the vendor's API is at `{known}`: leave this out, or write that"),
        );
    }
}

/// Vendors show the address of an endpoint; what goes before it is wanted here.
fn check_end(url: &str, at: &Path, findings: &mut Findings<'_>) {
    const ENDPOINTS: [&str; 5] = [
        "/messages",
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/models",
    ];
    let url = url.trim_end_matches('/');
    if let Some(end) = ENDPOINTS.iter().find(|end| url.ends_with(*end)) {
        findings.warning(
            at,
            format!(
                "write the URL without `{end}`: the gateway appends the endpoint that is called"
            ),
        );
    }
}

fn check_keys(keys: &[ProviderKey], at: &Path, findings: &mut Findings<'_>) {
    let mut seen = BTreeSet::new();
    for (index, key) in keys.iter().enumerate() {
        let at = at.index(index);
        // A key written alone is the item itself.
        let is_plain = *key == ProviderKey::plain(key.key.as_str());
        let text_at = if is_plain { at.clone() } else { at.key("key") };
        secret(&key.key, &text_at, findings);
        if !seen.insert(key.key.as_str()) {
            findings.error(&text_at, "this key is here twice: remove one");
        }
        if key.weight == 0 {
            findings.warning(
                &at.key("weight"),
                "a key of weight 0 is used when no other can be",
            );
        }
        if let (Some(from), Some(until)) = (key.not_before, key.expires)
            && from >= until
        {
            findings.error(
                &at.key("expires"),
                format!(
                    "the key would be good from {from} and no longer from {until}: swap the two"
                ),
            );
        }
    }
    check_rotation(keys, at, findings);
}

/// Tells of keys that run out, and of times without any key.
fn check_rotation(keys: &[ProviderKey], at: &Path, findings: &mut Findings<'_>) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    if keys.is_empty() {
        return;
    }
    let good_at = |second: u64| {
        keys.iter().any(|key| {
            key.not_before
                .is_none_or(|from| from.unix_seconds() <= second)
                && key
                    .expires
                    .is_none_or(|until| second < until.unix_seconds())
        })
    };
    if !good_at(now) {
        findings.warning(
            at,
            "none of these keys is good now: add one, or correct `not_before` and `expires`",
        );
    }
    for (index, key) in keys.iter().enumerate() {
        let Some(expires) = key.expires else {
            continue;
        };
        let at = at.index(index).key("expires");
        let end = expires.unix_seconds();
        if end <= now {
            findings.warning(
                &at,
                format!("this key has not been used since {expires}: remove it"),
            );
        } else if end.saturating_sub(now) < WARN_BEFORE_SECONDS {
            let advice = if good_at(end) {
                format!("this key runs out on {expires}: the others take over then")
            } else {
                format!(
                    "from {expires} on there is no key: add one whose `not_before` is earlier, so that they overlap"
                )
            };
            findings.warning(&at, advice);
        }
    }
}

fn check_breaker(breaker: CircuitBreaker, at: &Path, findings: &mut Findings<'_>) {
    if breaker.failures == 0 {
        findings.error(
            &at.key("failures"),
            "with 0 failures no endpoint would ever be used: write at least 1",
        );
    }
    if breaker.of > MAX_OUTCOMES {
        findings.error(
            &at.key("of"),
            format!("more than {MAX_OUTCOMES} calls are not looked back at: write less"),
        );
    } else if breaker.failures > breaker.of {
        findings.error(
            &at.key("failures"),
            format!(
                "among the last {} calls there are never {} failures: write at most {0}",
                breaker.of, breaker.failures
            ),
        );
    }
    duration(breaker.open_for, &at.key("open_for"), findings);
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

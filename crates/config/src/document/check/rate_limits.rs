//! Request limits.

use std::collections::{BTreeMap, BTreeSet};

use super::{conditions, names, secret};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::rate_limit::{ArgumentKind, Traffic, is_token};
use crate::{
    Argument, Gateway, KeyPattern, LimitKey, RateLimit, RequestQuota, RuleItem, Source, template,
};

/// Checks the limits of one API.
pub(super) fn check(
    gateway: &Gateway,
    traffic: Traffic,
    limits: &[RateLimit],
    path: &Path,
    findings: &mut Findings<'_>,
) {
    let all = || {
        limits
            .iter()
            .enumerate()
            .map(|(index, limit)| (limit, path.index(index)))
    };
    names::unique(
        "rate limit",
        all().map(|(limit, at)| (limit.rule_name.as_str(), at.key("rule_name"))),
        findings,
    );
    for (limit, at) in all() {
        names::in_any_script(&limit.rule_name, &at.key("rule_name"), findings);
        check_rejection(limit, &at, findings);
        if limit.redis.is_some() {
            let message = if gateway.state.redis.is_empty() {
                "this block is not used: `state.redis` says where requests are counted. It is empty, so they are \
                 counted on this machine alone"
            } else {
                "this block is not used: requests are counted in the Redis of `state.redis`"
            };
            findings.warning(&at.key("redis"), message);
        }
        check_concurrency(gateway, limit, &at, findings);
        match (&limit.global_threshold, limit.rule_items.as_slice()) {
            (None, []) => findings.error(
                &at,
                "nothing is limited here: add `rule_items` or `global_threshold`",
            ),
            (global, items) => {
                if let Some(quota) = global {
                    check_quota(*quota, &at.key("global_threshold"), findings);
                }
                check_items(gateway, traffic, items, &at.key("rule_items"), findings);
            }
        }
    }
}

fn check_rejection(limit: &RateLimit, at: &Path, findings: &mut Findings<'_>) {
    // 1xx is no end of a request, and the others named have no body.
    let code = limit.rejected_code;
    if !(200..=599).contains(&code) || matches!(code, 204 | 205 | 304) {
        findings.error(
            &at.key("rejected_code"),
            "a refusal needs a status that has a body, from 200 to 599, such as 429",
        );
    }
}

/// A place is held while a request is in flight, and given up if its holder dies: only Redis can do both.
fn check_concurrency(gateway: &Gateway, limit: &RateLimit, at: &Path, findings: &mut Findings<'_>) {
    let in_keys = limit
        .rule_items
        .iter()
        .enumerate()
        .flat_map(|(index, item)| {
            let keys = at.key("rule_items").index(index).key("limit_keys");
            let quotas = item.limit_keys.iter().enumerate();
            quotas.map(move |(index, key)| (key.quota, keys.index(index)))
        });
    let global = limit.global_threshold;
    let all = global
        .map(|quota| (quota, at.key("global_threshold")))
        .into_iter()
        .chain(in_keys);
    for (_, path) in all.filter(|(quota, _)| quota.concurrency.is_some()) {
        if gateway.state.redis.is_empty() {
            findings.error(
                &path.key("concurrency"),
                "requests in flight can be counted in a Redis alone: set `state.redis`, or write `query_per_second` instead",
            );
        }
    }
}

fn check_quota(quota: RequestQuota, path: &Path, findings: &mut Findings<'_>) {
    if quota.windows().next().is_none() && quota.concurrency.is_none() {
        findings.error(
            path,
            "no quota: add `query_per_second`, `query_per_minute`, `query_per_hour`, `query_per_day` or `concurrency`",
        );
    }
    if quota.concurrency == Some(0) {
        findings.error(
            &path.key("concurrency"),
            "a quota of zero would let nothing through: write a larger one",
        );
    }
    for (window, limit) in quota.windows() {
        if limit == 0 {
            findings.error(
                &path.key(window.key()),
                "a quota of zero would let nothing through: write a larger one",
            );
        }
    }
}

fn check_items(
    gateway: &Gateway,
    traffic: Traffic,
    items: &[RuleItem],
    path: &Path,
    findings: &mut Findings<'_>,
) {
    for (index, item) in items.iter().enumerate() {
        let at = path.index(index);
        check_dimension(traffic, item, &at, findings);
        check_keys(gateway, item, &at.key("limit_keys"), findings);
    }
}

fn check_dimension(traffic: Traffic, item: &RuleItem, at: &Path, findings: &mut Findings<'_>) {
    let path = at.key(item.key());
    let dimension = item.by.dimension;
    match (dimension.argument, &item.by.argument) {
        (ArgumentKind::Header, Argument::Name(name)) if !is_token(name) => {
            findings.error(&path, format!("`{}` is no header name", shortened(name)))
        }
        (ArgumentKind::Cookie, Argument::Name(name)) if !is_token(name) => {
            findings.error(&path, format!("`{}` is no cookie name", shortened(name)))
        }
        (ArgumentKind::Param, Argument::Name(name)) if name.is_empty() => {
            findings.error(&path, "an empty parameter name");
        }
        _ if !dimension.known_to.contains(&traffic) => findings.warning(
            &path,
            format!(
                "{}, so this limits nothing: count by something else",
                dimension.elsewhere
            ),
        ),
        _ => {}
    }
}

fn check_keys(gateway: &Gateway, item: &RuleItem, keys: &Path, findings: &mut Findings<'_>) {
    if item.limit_keys.is_empty() {
        findings.error(
            keys,
            "no keys, so nothing is limited: add one with `key`, which may be `*`",
        );
    }
    let consumers: BTreeSet<&str> = gateway
        .consumers
        .iter()
        .map(|consumer| consumer.name.as_str())
        .collect();
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, key) in item.limit_keys.iter().enumerate() {
        let at = keys.index(index);
        check_quota(key.quota, &at, findings);
        let path = at.key("key");
        let line = findings.line(&path);
        if let Some(first) = lines.get(key.key.as_str()) {
            findings.error(
                &path,
                format!("the same key stands in line {first}: remove one"),
            );
        } else {
            lines.insert(&key.key, line);
        }
        check_key(item, key, &consumers, &path, findings);
    }
}

fn check_key(
    item: &RuleItem,
    key: &LimitKey,
    consumers: &BTreeSet<&str>,
    path: &Path,
    findings: &mut Findings<'_>,
) {
    // What a variable gives is known when the gateway runs.
    let templated = template::is_templated(&key.key);
    match item.pattern(key) {
        Err(_) if templated => {}
        Err(mistake) => findings.error(path, mistake.to_string()),
        Ok(KeyPattern::Exact("")) => {
            findings.error(path, "an empty key: write a value, or `*` for any");
        }
        Ok(KeyPattern::Prefix("")) => {
            findings.error(path, "an empty beginning: write `*` for any value");
        }
        Ok(KeyPattern::Regexp("")) => {
            findings.error(path, "an empty regular expression: write `*` for any value");
        }
        Ok(KeyPattern::Exact(app_key)) if item.by.source() == Source::DifyApp => {
            if !templated && !app_key.starts_with("app-") {
                findings.error(path, "the key of a Dify app's API begins with `app-`");
            } else {
                secret(app_key, path, findings);
            }
        }
        Ok(KeyPattern::Exact(name)) if item.by.source() == Source::Consumer && !templated => {
            names::known("consumer", name, consumers, "consumers", path, findings);
        }
        Ok(KeyPattern::Regexp(text)) if !templated => {
            conditions::expression(text, path, findings);
        }
        Ok(
            KeyPattern::Exact(_)
            | KeyPattern::Prefix(_)
            | KeyPattern::Regexp(_)
            | KeyPattern::Network(_)
            | KeyPattern::Any,
        ) => {}
    }
}

//! Limits, of requests and of tokens.

use std::collections::{BTreeMap, BTreeSet};

use super::{conditions, names, secret};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::rate_limit::{ArgumentKind, Traffic, is_token};
use crate::{
    Argument, Gateway, KeyPattern, LimitKey, LimitRule, LimitScope, Quota, RuleItem, Source,
    template,
};

/// The store counts no further: a million times a million.
const MAX_LIMIT: u64 = 1_000_000_000_000;

/// What the limits of an API are checked against.
pub(super) struct LimitContext<'a> {
    /// The whole configuration.
    pub gateway: &'a Gateway,
    /// What passes the API.
    pub traffic: Traffic,
    /// Names of its routes, where the configuration gives them all.
    pub routes: Option<Vec<&'a str>>,
}

/// Checks limits of one API.
pub(super) fn check<L: LimitRule>(
    context: &LimitContext<'_>,
    limits: &[L],
    path: &Path,
    findings: &mut Findings<'_>,
) {
    let gateway = context.gateway;
    let all = || {
        limits
            .iter()
            .enumerate()
            .map(|(index, limit)| (limit, path.index(index)))
    };
    // Of one document's `_rules_` one at most holds for a request, so that they may have one name, and count together.
    let shares_its_name = |place: usize, limit: &L| {
        let mut earlier = limits
            .iter()
            .take(place)
            .filter(|it| it.name() == limit.name());
        let excludes = |it: &L| {
            it.applies_to()
                .is_some_and(|scope| limit.except().contains(scope))
        };
        earlier.clone().next().is_some() && earlier.all(excludes)
    };
    let alone = all().enumerate();
    let alone = alone.filter(|(place, (limit, _))| !shares_its_name(*place, limit));
    names::unique(
        L::WHAT,
        alone.map(|(_, (limit, at))| (limit.name(), at.key("rule_name"))),
        findings,
    );
    for (limit, at) in all() {
        names::in_any_script(limit.name(), &at.key("rule_name"), findings);
        check_rejection(limit, &at, findings);
        if limit.redis().is_some() {
            check_redis(gateway, limit, &at, findings);
        }
        if let Some(scope) = limit.applies_to() {
            check_scope(context, scope, &at.key("applies_to"), findings);
        }
        check_concurrency(gateway, limit, &at, findings);
        match (limit.global_threshold(), limit.rule_items()) {
            (None, []) => findings.error(
                &at,
                "nothing is limited here: add `rule_items` or `global_threshold`",
            ),
            (global, items) => {
                if let Some(quota) = global {
                    check_quota(quota, &at.key("global_threshold"), findings);
                }
                check_items(
                    gateway,
                    context.traffic,
                    items,
                    &at.key("rule_items"),
                    findings,
                );
            }
        }
    }
}

fn check_rejection(limit: &impl LimitRule, at: &Path, findings: &mut Findings<'_>) {
    // 1xx is no end of a request, and the others named have no body.
    let (code, _) = limit.rejection();
    if !(200..=599).contains(&code) || matches!(code, 204 | 205 | 304) {
        findings.error(
            &at.key("rejected_code"),
            "a refusal needs a status that has a body, from 200 to 599, such as 429",
        );
    }
}

/// Of a document of Higress', what is otherwise here.
fn check_redis(gateway: &Gateway, limit: &impl LimitRule, at: &Path, findings: &mut Findings<'_>) {
    let message = if gateway.state.redis.is_empty() {
        "this block is not used: `state.redis` says where requests are counted. It is empty, so they are \
         counted on this machine alone"
    } else {
        "this block is not used: requests are counted in the Redis of `state.redis`"
    };
    findings.warning(&at.key("redis"), message);
    let quotas = limit.rule_items().len();
    if quotas > 1 {
        findings.warning(
            &at.key("rule_items"),
            "all items that match a request hold for it. Higress before 2.2.4 takes the first alone: if that is meant, see that no request matches two",
        );
    }
}

fn check_scope(
    context: &LimitContext<'_>,
    scope: &LimitScope,
    at: &Path,
    findings: &mut Findings<'_>,
) {
    if scope == &LimitScope::default() {
        findings.error(
            at,
            "for no route and no domain: write `_match_route_` or `_match_domain_`",
        );
    }
    let Some(routes) = &context.routes else {
        return;
    };
    let unknown = scope.routes.iter().enumerate();
    for (index, name) in unknown.filter(|(_, name)| !routes.contains(&name.as_str())) {
        findings.warning(
            &at.key("routes").index(index),
            format!(
                "this API has no route `{}`, so this holds for none of its requests: give a route that `name`",
                shortened(name)
            ),
        );
    }
}

/// A place is held while a request is in flight, and given up if its holder dies: only Redis can do both.
fn check_concurrency(
    gateway: &Gateway,
    limit: &impl LimitRule,
    at: &Path,
    findings: &mut Findings<'_>,
) {
    let in_keys = limit
        .rule_items()
        .iter()
        .enumerate()
        .flat_map(|(index, item)| {
            let keys = at.key("rule_items").index(index).key("limit_keys");
            let quotas = item.limit_keys.iter().enumerate();
            quotas.map(move |(index, key)| (key.quota, keys.index(index)))
        });
    let all = limit
        .global_threshold()
        .map(|quota| (quota, at.key("global_threshold")))
        .into_iter()
        .chain(in_keys);
    for (_, path) in all.filter(|(quota, _)| quota.in_flight().is_some()) {
        if gateway.state.redis.is_empty() {
            findings.error(
                &path.key("concurrency"),
                "requests in flight can be counted in a Redis alone: set `state.redis`, or write `query_per_second` instead",
            );
        }
    }
}

fn check_quota<Q: Quota>(quota: Q, path: &Path, findings: &mut Findings<'_>) {
    if quota.windows().next().is_none() && quota.in_flight().is_none() {
        findings.error(path, format!("no quota: add {}", Q::KEYS));
    }
    if quota.in_flight() == Some(0) {
        findings.error(
            &path.key("concurrency"),
            "a quota of zero would let nothing through: write a larger one",
        );
    }
    for (window, limit) in quota.windows() {
        let at = path.key(Q::key(window));
        if limit == 0 {
            findings.error(
                &at,
                "a quota of zero would let nothing through: write a larger one",
            );
        }
        if limit > MAX_LIMIT {
            findings.error(
                &at,
                "more than a million times a million: write a smaller one",
            );
        }
    }
}

fn check_items<Q: Quota>(
    gateway: &Gateway,
    traffic: Traffic,
    items: &[RuleItem<Q>],
    path: &Path,
    findings: &mut Findings<'_>,
) {
    for (index, item) in items.iter().enumerate() {
        let at = path.index(index);
        check_dimension(traffic, item, &at, findings);
        check_keys(gateway, item, &at.key("limit_keys"), findings);
    }
}

fn check_dimension<Q>(
    traffic: Traffic,
    item: &RuleItem<Q>,
    at: &Path,
    findings: &mut Findings<'_>,
) {
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

fn check_keys<Q: Quota>(
    gateway: &Gateway,
    item: &RuleItem<Q>,
    keys: &Path,
    findings: &mut Findings<'_>,
) {
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

fn check_key<Q>(
    item: &RuleItem<Q>,
    key: &LimitKey<Q>,
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

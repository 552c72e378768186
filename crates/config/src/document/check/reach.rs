//! Which of an API's routes calls can reach.

use std::collections::BTreeSet;

use super::conditions::REGEXP;
use crate::ModelApiConfig;
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;

/// Tells of routes all of whose models go to routes before them.
pub(super) fn check(api: &ModelApiConfig, routes: &Path, findings: &mut Findings<'_>) {
    /// Each later pattern is held against them, so their number is bounded.
    const MAX_WILDCARDS: usize = 200;
    let mut exact: BTreeSet<&str> = BTreeSet::new();
    let mut wildcards: Vec<&str> = Vec::new();
    let mut takes_all = false;
    for (index, route) in api.routes.iter().enumerate() {
        let taker = |pattern: &&str| {
            let wildcard = || {
                wildcards
                    .iter()
                    .find(|taker| covers(taker, pattern))
                    .copied()
            };
            exact.get(*pattern).copied().or_else(wildcard)
        };
        let patterns: Vec<&str> = route.conditions.model.iter().map(String::as_str).collect();
        let takers: Option<Vec<&str>> = patterns.iter().map(taker).collect();
        // A route without names also takes calls that name no model, which only another such route can take from it.
        let covered_by = match (takes_all, takers.as_ref().and_then(|takers| takers.first())) {
            (true, _) => Some("a route above without `match.model` takes".to_owned()),
            (false, Some(taker)) => Some(format!("`{}` in a route above takes", shortened(taker))),
            (false, None) => None,
        };
        if let Some(covered_by) = covered_by {
            let message =
                format!("no call comes here, as {covered_by} them all: move this route before it");
            findings.warning(&routes.index(index), message);
        }
        let others = &route.conditions;
        if others.path.is_some() || !others.headers.is_empty() || !others.consumers.is_empty() {
            // It leaves calls to later routes.
            continue;
        }
        takes_all |= patterns.is_empty();
        for pattern in patterns {
            if !pattern.contains('*') || pattern.starts_with(REGEXP) {
                exact.insert(pattern);
            } else if wildcards.len() < MAX_WILDCARDS {
                wildcards.push(pattern);
            }
        }
    }
}

/// Whether every model that `pattern` takes is one that `taker` takes. A star of `pattern` is met by stars only.
fn covers(taker: &str, pattern: &str) -> bool {
    if pattern.starts_with(REGEXP) {
        return taker == "*";
    }
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

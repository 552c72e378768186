//! Conditions on headers, query parameters and names of models.

use std::collections::{BTreeMap, BTreeSet};

use spillway_pattern::{Pattern, PatternError};

use crate::ValueMatch;
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::rate_limit::is_token;

/// What begins a model pattern that is a regular expression.
pub(super) const REGEXP: &str = "regexp:";

pub(super) fn regex(text: &str, path: &Path, findings: &mut Findings<'_>) {
    if text.is_empty() {
        findings.error(path, "an empty regular expression: leave the condition out");
    } else {
        expression(text, path, findings);
    }
}

/// A regular expression that is not empty.
pub(super) fn expression(text: &str, path: &Path, findings: &mut Findings<'_>) {
    if let Err(error) = Pattern::new(text) {
        let message = match error {
            PatternError::Wrong(what) => format!("this is no regular expression: {what}"),
            error => format!("this regular expression cannot be used: {error}"),
        };
        findings.error(path, message);
    }
}

pub(super) fn headers(
    headers: &BTreeMap<String, ValueMatch>,
    path: &Path,
    findings: &mut Findings<'_>,
) {
    let mut seen = BTreeSet::new();
    for (name, condition) in headers {
        let at = path.key(name);
        let shown = shortened(name);
        if !is_token(name) {
            findings.error_at_key(&at, format!("`{shown}` is no header name"));
        } else if !seen.insert(name.to_ascii_lowercase()) {
            findings.error_at_key(
                &at,
                format!("the header `{shown}` is here twice: letter case makes no difference"),
            );
        }
        value(condition, &at, findings);
    }
}

pub(super) fn query(
    parameters: &BTreeMap<String, ValueMatch>,
    path: &Path,
    findings: &mut Findings<'_>,
) {
    for (name, condition) in parameters {
        let at = path.key(name);
        if name.is_empty() {
            findings.error_at_key(&at, "an empty parameter name");
        }
        value(condition, &at, findings);
    }
}

fn value(condition: &ValueMatch, path: &Path, findings: &mut Findings<'_>) {
    if let ValueMatch::Regex { regex: text } = condition {
        regex(text, &path.key("regex"), findings);
    }
}

/// A name of a model, or a pattern of names.
pub(super) fn model(pattern: &str, path: &Path, findings: &mut Findings<'_>) {
    match pattern.strip_prefix(REGEXP) {
        Some(expression) => regex(expression, path, findings),
        None if pattern.is_empty() => findings.error(path, "an empty model name"),
        None => {}
    }
}

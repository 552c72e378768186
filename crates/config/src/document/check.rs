//! What the types alone cannot tell: names that must be known, URLs, paths, secrets, routes that nothing reaches.

mod agents;
mod conditions;
mod consumers;
mod cors;
mod digests;
mod forward_headers;
mod knowledge;
mod limits;
mod model_routes;
mod models;
mod names;
mod paths;
mod providers;
mod reach;
mod token_limits;
pub(in crate::document) mod urls;

use super::node::{Content, Node, Path};
use super::report::Findings;
use crate::gateway::{MIN_ADMIN_TOKEN, is_short_token};
use crate::{Gateway, TimeSpan, template};

/// Checks a gateway that was read without losses.
pub(super) fn gateway(gateway: &Gateway, findings: &mut Findings<'_>) {
    let root = Path::default();
    urls::redis(
        &gateway.state.redis,
        &root.key("state").key("redis"),
        findings,
    );
    state_timeout(
        gateway.state.timeout,
        &root.key("state").key("timeout"),
        findings,
    );
    if gateway.state.new_values_per_second == 0 {
        findings.error(
            &root.key("state").key("new_values_per_second"),
            "0 would let nobody begin: write 1 or more",
        );
    }
    digests::check(gateway, &root.key("state").key("digest_key"), findings);
    admin_token(
        &gateway.admin.token,
        &root.key("admin").key("token"),
        findings,
    );
    consumers::check(gateway, &root.key("consumers"), findings);
    agents::check(gateway, &root.key("agents"), findings);
    models::check(gateway, &root.key("models"), findings);
    providers::check(gateway, &root.key("providers"), findings);
    knowledge::check(gateway, &root.key("knowledge"), findings);
    // A name that is misspelt elsewhere would make the one that is meant look unused.
    if !findings.report.has_error() {
        digests::check_absence(gateway, &root, findings);
        consumers::check_use(gateway, &root.key("consumers"), findings);
        providers::check_use(gateway, &root.key("providers"), findings);
    }
}

/// Shorter, a pause of the machine's would pass for a Redis that is gone; longer, one that is gone would hold up
/// everybody.
fn state_timeout(timeout: TimeSpan, path: &Path, findings: &mut Findings<'_>) {
    let (min, max) = (TimeSpan::from_millis(20), TimeSpan::from_secs(1));
    if timeout < min || timeout > max {
        findings.error(
            path,
            format!("a request cannot wait {timeout} for Redis: write {min} to {max}"),
        );
    }
}

fn admin_token(token: &str, path: &Path, findings: &mut Findings<'_>) {
    if token.is_empty() {
        return;
    }
    if !template::is_templated(token) && is_short_token(token) {
        findings.error(
            path,
            format!("this token can be found by trying: write {MIN_ADMIN_TOKEN} letters or more, such as `openssl rand -hex 32` gives"),
        );
    } else {
        secret(token, path, findings);
    }
}

/// Checks every `{{ name }}` of the document, keys included.
pub(super) fn templates(findings: &mut Findings<'_>) {
    let root = findings.root;
    templates_below(root, &Path::default(), findings);
}

fn templates_below(node: &Node, path: &Path, findings: &mut Findings<'_>) {
    match &node.content {
        Content::Text(text) => {
            if let Some(mistake) = template::mistake(text) {
                findings.error(path, mistake.to_string());
            }
        }
        Content::List(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                templates_below(node, &path.index(index), findings);
            }
        }
        Content::Map(entries) => {
            for entry in entries {
                let path = path.key(&entry.key);
                if let Some(mistake) = template::mistake(&entry.key) {
                    findings.error_at_key(&path, mistake.to_string());
                }
                templates_below(&entry.value, &path, findings);
            }
        }
        Content::Null
        | Content::Bool(_)
        | Content::Unsigned(_)
        | Content::Signed(_)
        | Content::Float(_)
        | Content::Dropped => {}
    }
}

fn duration(span: TimeSpan, path: &Path, findings: &mut Findings<'_>) {
    if span.duration().is_zero() {
        findings.error(
            path,
            "a duration of zero would let nothing through: write a longer one",
        );
    }
}

/// A secret that goes into a header, where it must fit; better not in the file.
fn secret(text: &str, path: &Path, findings: &mut Findings<'_>) {
    let fits = |letter: char| letter.is_ascii_graphic();
    if text.is_empty() {
        findings.error(path, "an empty key: write one, or remove this line");
    } else if template::is_templated(text) {
        // Its value is known when the gateway runs.
    } else if text.chars().all(fits) {
        findings.warning(
            path,
            "a secret stands in the file: write \"{{ name }}\" and set the variable of that name",
        );
    } else {
        findings.error(
            path,
            "this key has spaces or letters that a header cannot have",
        );
    }
}

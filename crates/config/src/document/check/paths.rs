//! Paths, and which component Spin hands them to.

use crate::document::node::Path;
use crate::document::report::Findings;

/// Where `spin.toml` mounts the model component.
pub(super) const MODEL_MOUNT: &str = "/llm";

/// Where it mounts the others; ingress has the rest.
const MOUNTS: [&str; 4] = [MODEL_MOUNT, "/knowledge", "/mcp-servers", "/_gateway"];

/// The mount that takes requests for `path` away from ingress.
pub(super) fn mount_of(path: &str) -> Option<&'static str> {
    MOUNTS.into_iter().find(|mount| is_at_or_below(path, mount))
}

/// Whether `path` is `base` or continues it after a slash.
pub(super) fn is_at_or_below(path: &str, base: &str) -> bool {
    let base = base.trim_end_matches('/');
    path.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path prefix under which an API is published.
pub(super) fn base_path(text: &str, path: &Path, findings: &mut Findings<'_>) {
    let allowed =
        |letter: char| letter.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(letter);
    let mistake = if !text.starts_with('/') {
        "a base path begins with `/`"
    } else if text != "/" && text.ends_with('/') {
        "a base path does not end with `/`: remove it"
    } else if text.contains("//") {
        "a base path has no empty part: remove one `/` of the two"
    } else if text.split('/').any(|part| matches!(part, "." | "..")) {
        "a base path has no `.` or `..` between its slashes"
    } else if !text.chars().all(allowed) {
        "a base path has letters, digits and `-._~` between its slashes, no query, no `%`, no template"
    } else {
        return;
    };
    findings.error(path, mistake);
}

/// The path of a route.
pub(super) fn route_path(text: &str, path: &Path, findings: &mut Findings<'_>) {
    let mistake = if !text.starts_with('/') {
        "a path begins with `/`"
    } else if text.contains(['?', '#']) {
        "a path has no query: conditions on it belong under `match.query`"
    } else if text.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        "a path has no spaces"
    } else if text.contains('%') {
        "a path is compared with the decoded path of the request: write the letter itself instead of `%…`"
    } else {
        return;
    };
    findings.error(path, mistake);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_take_themselves_and_what_is_below() {
        for (path, mount) in [
            ("/llm", Some("/llm")),
            ("/llm/a", Some("/llm")),
            ("/llms", None),
            ("/", None),
            ("/_gateway/metrics", Some("/_gateway")),
        ] {
            assert_eq!(mount_of(path), mount, "{path}");
        }
        assert!(is_at_or_below("/anything", "/"));
    }
}

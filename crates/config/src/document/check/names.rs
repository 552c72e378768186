//! Names: their letters, that each is there once, and that those referred to are there.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::node::Path;
use crate::document::report::Findings;
use crate::document::suggestion::{list, nearest};
use crate::error::shortened;

const MAX_CHARS: usize = 64;

/// A name that stands in logs and metrics.
pub(super) fn name(name: &str, path: &Path, findings: &mut Findings<'_>) {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if name.is_empty() {
        findings.error(path, "an empty name");
    } else if name.len() > MAX_CHARS || !name.chars().all(allowed) {
        let shown = shortened(name);
        findings.error(
            path,
            format!("`{shown}` is no name: use letters, digits, `_`, `.` and `-`, at most {MAX_CHARS} of them"),
        );
    }
}

/// A name of a rate limit, as Higress' users write them: in Chinese, for one. In headers it is written in ASCII.
pub(super) fn in_any_script(name: &str, path: &Path, findings: &mut Findings<'_>) {
    let allowed = |letter: char| letter.is_alphanumeric() || "_.-".contains(letter);
    if name.is_empty() {
        findings.error(path, "an empty name");
    } else if name.chars().count() > MAX_CHARS || !name.chars().all(allowed) {
        let shown = shortened(name);
        findings.error(
            path,
            format!("`{shown}` is no name: use letters, digits, `_`, `.` and `-`, at most {MAX_CHARS} of them"),
        );
    }
}

/// Tells of every name that an earlier one has. `kind` is what carries the names, such as `consumer`.
pub(super) fn unique<'a>(
    kind: &str,
    names: impl IntoIterator<Item = (&'a str, Path)>,
    findings: &mut Findings<'_>,
) {
    let mut first_lines = BTreeMap::new();
    for (name, path) in names {
        if name.is_empty() {
            continue;
        }
        let line = findings.line(&path);
        match first_lines.get(name) {
            None => {
                first_lines.insert(name, line);
            }
            Some(first) => {
                let shown = shortened(name);
                findings.error(
                    &path,
                    format!("the {kind} in line {first} is named `{shown}` already: rename one"),
                );
            }
        }
    }
}

/// Tells if `name` is none of the `known` ones. `section` is where they are, such as `consumers`.
pub(super) fn known(
    kind: &str,
    name: &str,
    known: &BTreeSet<&str>,
    section: &str,
    path: &Path,
    findings: &mut Findings<'_>,
) {
    if known.contains(name) {
        return;
    }
    let shown = shortened(name);
    let advice = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => format!("`{section}` has none: add it there"),
        None => format!("`{section}` has {}", list(known.iter().copied())),
    };
    findings.error(path, format!("no {kind} is named `{shown}`; {advice}"));
}

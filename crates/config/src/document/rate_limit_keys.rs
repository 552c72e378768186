//! The keys of rate-limit documents may begin with a capital letter: the Alibaba Cloud guide shows
//! `Limit_by_header`.

use std::collections::BTreeMap;

use super::node::{Content, Entry, Node, Path};
use super::report::Report;
use crate::error::shortened;

/// Writes the first letter of every key below a `rate_limits` small.
pub(super) fn lower(root: &mut Node, report: &mut Report) {
    visit(root, false, report);
}

fn visit(node: &mut Node, inside: bool, report: &mut Report) {
    match &mut node.content {
        Content::List(nodes) => {
            for node in nodes {
                visit(node, inside, report);
            }
        }
        Content::Map(entries) => {
            for entry in entries.iter_mut() {
                visit(
                    &mut entry.value,
                    inside || entry.key == "rate_limits",
                    report,
                );
            }
            if inside {
                lower_keys(entries, report);
            }
        }
        Content::Null
        | Content::Bool(_)
        | Content::Unsigned(_)
        | Content::Signed(_)
        | Content::Float(_)
        | Content::Text(_)
        | Content::Dropped => {}
    }
}

fn lower_keys(entries: &mut Vec<Entry>, report: &mut Report) {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries.iter() {
        lines.insert(entry.key.clone(), entry.key_position.line);
    }
    entries.retain_mut(|entry| {
        let key = with_small_beginning(&entry.key);
        if key == entry.key {
            return true;
        }
        if let Some(line) = lines.get(&key) {
            let key = shortened(&key);
            let message = format!("the key `{key}` stands in line {line} as well: remove one");
            report.error_at(entry.key_position, &Path::default(), message);
            return false;
        }
        lines.insert(key.clone(), entry.key_position.line);
        entry.key = key;
        true
    });
}

/// `Limit_by_header` becomes `limit_by_header`; `LIMIT_BY_HEADER` is no spelling of it.
fn with_small_beginning(key: &str) -> String {
    let mut letters = key.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    if letters.as_str().contains(char::is_uppercase) {
        return key.to_owned();
    }
    first.into_iter().chain(letters).collect()
}

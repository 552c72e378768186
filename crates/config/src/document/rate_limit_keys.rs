//! Limits' documents as Higress and the Alibaba Cloud guide write them, brought into the one form that is read:
//!
//! - keys may begin with a capital letter (the guide shows `Limit_by_header`);
//! - a document, an item or a key that stands alone is a list of one;
//! - keys and passwords that are digits are text, as `key: 771203` is;
//! - nothing after a name in the `redis` block (`username:`) is as good as no name;
//! - what stands in `_rules_` is a document each ([`super::higress_rules`]).

use std::collections::BTreeMap;

use super::higress_rules;
use super::node::{Content, Node, NodeEntry, Path};
use super::report::Report;
use crate::error::shortened;

/// Writes the first letter of every key below a `rate_limits` or `token_limits` small.
pub(super) fn lower(root: &mut Node, report: &mut Report) {
    visit(root, "", false, report);
}

/// `within` is the key under which the node stands.
fn visit(node: &mut Node, within: &str, inside: bool, report: &mut Report) {
    match &mut node.content {
        Content::List(nodes) => {
            for node in nodes {
                visit(node, within, inside, report);
            }
        }
        Content::Map(entries) => {
            if inside {
                lower_keys(entries, report);
                entries.iter_mut().for_each(normalise);
            }
            for entry in entries.iter_mut() {
                let is_limits = matches!(entry.key.as_str(), "rate_limits" | "token_limits");
                // Elsewhere a header may have this name.
                let is_list = is_limits && within == "policies";
                if is_list {
                    make_list(&mut entry.value);
                }
                visit(&mut entry.value, &entry.key, inside || is_limits, report);
                if is_list {
                    higress_rules::unfold(&mut entry.value, report);
                }
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

fn normalise(entry: &mut NodeEntry) {
    match entry.key.as_str() {
        "rule_items" | "limit_keys" | "_rules_" => make_list(&mut entry.value),
        "key" => make_text(&mut entry.value),
        "redis" => {
            if let Content::Map(entries) = &mut entry.value.content {
                entries.retain(|entry| !matches!(entry.value.content, Content::Null));
                let texts = entries.iter_mut().filter(|entry| {
                    matches!(entry.key.as_str(), "username" | "password" | "service_name")
                });
                texts.for_each(|entry| make_text(&mut entry.value));
            }
        }
        _ => {}
    }
}

/// A mapping where a list is wanted is a list of one.
fn make_list(node: &mut Node) {
    if matches!(node.content, Content::Map(_)) {
        let only = Node::new(
            node.position,
            std::mem::replace(&mut node.content, Content::Null),
        );
        node.content = Content::List(vec![only]);
    }
}

/// A whole number is its digits. (A fraction is not: `1.10` would come out as another text.)
fn make_text(node: &mut Node) {
    match node.content {
        Content::Unsigned(number) => node.content = Content::Text(number.to_string()),
        Content::Signed(number) => node.content = Content::Text(number.to_string()),
        _ => {}
    }
}

fn lower_keys(entries: &mut Vec<NodeEntry>, report: &mut Report) {
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

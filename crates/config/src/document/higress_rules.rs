//! `_rules_`, in which Higress writes what of a plugin's configuration holds for some routes or domains: the first that
//! matches holds, and the rest of the document for what none matches.
//!
//! Here each is a document of its own, with the requests that it is for, and those that earlier ones are for.

use super::node::{Content, Node, NodeEntry, Path};
use super::report::Report;

/// What Higress writes, and what it is called here.
const SCOPES: [(&str, &str); 3] = [
    ("_match_route_", "routes"),
    ("_match_route_prefix_", "route_prefixes"),
    ("_match_domain_", "domains"),
];

/// Makes documents of what stands in the `_rules_` of these.
pub(super) fn unfold(documents: &mut Node, report: &mut Report) {
    let Content::List(nodes) = &mut documents.content else {
        return;
    };
    let folded = std::mem::take(nodes);
    for mut document in folded {
        let rules = take(&mut document, "_rules_");
        let mut earlier = Vec::new();
        for mut rule in rules.map(into_list).unwrap_or_default() {
            let scope = take_scope(&mut rule, report);
            if scope.is_none() {
                let message = "this names no route and no domain, so that it would hold for all: add `_match_route_` or `_match_domain_`, or write it beside `_rules_`";
                report.error_at(rule.position, &Path::default(), message.to_owned());
            }
            add(&mut rule, "except", earlier.clone());
            if let Some(scope) = scope {
                earlier.push(scope.value.clone());
                push(&mut rule, scope);
            }
            nodes.push(rule);
        }
        if let Some(scope) = take_scope(&mut document, report) {
            push(&mut document, scope);
        }
        if earlier.is_empty() {
            nodes.push(document);
        } else if !is_empty(&document) {
            add(&mut document, "except", earlier);
            nodes.push(document);
        }
    }
}

/// Of a document all of which stands in `_rules_` nothing is left.
fn is_empty(document: &Node) -> bool {
    matches!(&document.content, Content::Map(entries) if entries.is_empty())
}

fn into_list(entry: NodeEntry) -> Vec<Node> {
    match entry.value.content {
        Content::List(nodes) => nodes,
        _ => vec![entry.value],
    }
}

/// What a document says of the requests that it is for.
fn take_scope(document: &mut Node, report: &mut Report) -> Option<NodeEntry> {
    if let Some(service) = take(document, "_match_service_") {
        let message = "Higress' `_match_service_` names services of its own registry: write the routes that lead there, `_match_route_: [name]`, or count by `limit_by_service`";
        report.error_at(service.key_position, &Path::default(), message.to_owned());
    }
    let mut entries = Vec::new();
    for (theirs, ours) in SCOPES {
        if let Some(mut entry) = take(document, theirs) {
            ours.clone_into(&mut entry.key);
            if matches!(entry.value.content, Content::Text(_)) {
                let position = entry.value.position;
                entry.value = Node::new(position, Content::List(vec![entry.value]));
            }
            entries.push(entry);
        }
    }
    let first = entries.first()?;
    let position = first.key_position;
    Some(NodeEntry {
        key: "applies_to".to_owned(),
        key_position: position,
        value: Node::new(position, Content::Map(entries)),
    })
}

fn take(document: &mut Node, key: &str) -> Option<NodeEntry> {
    let Content::Map(entries) = &mut document.content else {
        return None;
    };
    let place = entries.iter().position(|entry| entry.key == key)?;
    Some(entries.remove(place))
}

fn add(document: &mut Node, key: &str, list: Vec<Node>) {
    if !list.is_empty() {
        let position = document.position;
        let entry = NodeEntry {
            key: key.to_owned(),
            key_position: position,
            value: Node::new(position, Content::List(list)),
        };
        push(document, entry);
    }
}

fn push(document: &mut Node, entry: NodeEntry) {
    if let Content::Map(entries) = &mut document.content {
        entries.push(entry);
    }
}

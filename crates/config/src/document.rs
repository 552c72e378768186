//! Reading `gateway.yaml`: every mistake with its position, in words that say what to do.

mod check;
mod deserialize;
mod higress_rules;
mod node;
mod normalise;
mod rate_limit_keys;
mod report;
mod resolved;
mod scalar;
mod suggestion;
mod syntax;
mod yaml;

use serde::Deserialize;

use self::deserialize::{Mistake, MistakeKind};
use self::node::{Content, Node};
pub use self::report::{Diagnostic, Severity};
use self::report::{Findings, Report};
pub use self::resolved::resolved_mistakes;
use crate::Gateway;

/// A document that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What it says, its defaults filled in.
    pub gateway: Gateway,
    /// What hardly does what was meant, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks the text of a `gateway.yaml`.
///
/// Fails with everything that is wrong, in the order of the file, warnings included. At most 100 diagnostics; at
/// most 1 MiB of text.
pub fn read(text: &str) -> Result<Checked, Vec<Diagnostic>> {
    let mut report = Report::default();
    let gateway = yaml::parse(text, &mut report).and_then(|mut root| {
        rate_limit_keys::lower(&mut root, &mut report);
        let gateway = fit(&mut root, &mut report);
        let mut findings = Findings {
            root: &root,
            report: &mut report,
        };
        check::templates(&mut findings);
        // What refers to a part that could not be read would be called wrong without being so.
        if let Some(gateway) = gateway
            .as_ref()
            .filter(|_| !findings.report.is_incomplete())
        {
            check::gateway(gateway, &mut findings);
        }
        gateway
    });
    match (gateway, report.finish()) {
        (Some(gateway), (warnings, false)) => Ok(Checked {
            gateway: normalise::normalise(gateway),
            warnings,
        }),
        (_, (diagnostics, _)) => Err(diagnostics),
    }
}

/// Fits the tree to the types. What does not fit is reported and taken out of the tree, until the rest fits.
fn fit(root: &mut Node, report: &mut Report) -> Option<Gateway> {
    if matches!(root.content, Content::Null) {
        return Some(Gateway::default());
    }
    while !root.is_dropped() && !report.is_full() {
        match Gateway::deserialize(&*root) {
            Ok(gateway) => return Some(gateway),
            Err(mistake) => drop_part(root, &mistake, report),
        }
    }
    None
}

fn drop_part(root: &mut Node, mistake: &Mistake, report: &mut Report) {
    let path = mistake.path();
    let message = mistake.kind.to_string();
    match &mistake.kind {
        MistakeKind::UnknownKey { .. } => {
            report.error_at(root.position_of_key(&path), &path, message);
            if rename(root, mistake) {
                return;
            }
        }
        MistakeKind::MissingKey(key) => {
            // One that was dropped is reported already.
            let shown = root.get(&path).and_then(|node| node.entry(key)).is_some();
            if !shown {
                report.fatal(root.position_of(&path), &path, message);
            }
        }
        MistakeKind::Value(_) => {
            // What is wrong with a mapping as a whole may follow from a part that was taken out and told of.
            if root.get(&path).is_some_and(Node::lacks_parts) {
                report.leave_out();
            } else {
                report.fatal(root.position_of(&path), &path, message);
            }
        }
    }
    match root.get_mut(&path) {
        Some(node) => node.content = Content::Dropped,
        None => root.content = Content::Dropped,
    }
}

/// Reads on as if a misspelt key were spelt right, so that what stands under it is checked and found.
fn rename(root: &mut Node, mistake: &Mistake) -> bool {
    let (parent, _) = mistake.path().split_last();
    let (MistakeKind::UnknownKey { key, .. }, Some(meant)) = (&mistake.kind, mistake.kind.meant())
    else {
        return false;
    };
    let Some(parent) = root.get_mut(&parent) else {
        return false;
    };
    if parent.entry(meant).is_some() {
        return false;
    }
    let Content::Map(entries) = &mut parent.content else {
        return false;
    };
    match entries
        .iter_mut()
        .find(|entry| entry.key == *key && !entry.value.is_dropped())
    {
        Some(entry) => {
            entry.key = meant.to_owned();
            true
        }
        None => false,
    }
}

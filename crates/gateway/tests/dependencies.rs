//! What the workspace stands on, held to `deny.toml`: licences, versions, and where packages come from.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Deny {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skipped>,
}

#[derive(Deserialize)]
struct Skipped {
    #[serde(rename = "crate")]
    name_and_version: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None`: one of ours.
    source: Option<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn deny() -> Deny {
    toml::from_str(&std::fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap()
}

/// All packages of others that one of the targets needs.
fn packages(deny: &Deny) -> BTreeSet<Package> {
    let mut all = BTreeSet::new();
    for target in &deny.graph.targets {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args([
                "metadata",
                "--format-version",
                "1",
                "--locked",
                "--all-features",
            ])
            .args(["--filter-platform", target])
            .current_dir(root());
        let told = cargo.output().unwrap();
        let words = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "cargo metadata: {words}");
        let metadata: Metadata = serde_json::from_slice(&told.stdout).unwrap();
        all.extend(
            metadata
                .packages
                .into_iter()
                .filter(|it| it.source.is_some()),
        );
    }
    all
}

#[test]
fn every_licence_may_be_used() {
    let deny = deny();
    let allowed: Vec<spdx::Licensee> = deny
        .licenses
        .allow
        .iter()
        .map(|licence| spdx::Licensee::parse(licence).unwrap())
        .collect();
    for Package { name, license, .. } in packages(&deny) {
        let text = license.unwrap_or_default();
        let expression = spdx::Expression::parse_mode(&text, spdx::ParseMode::LAX);
        let is_allowed = expression.is_ok_and(|expression| {
            expression.evaluate(|wanted| allowed.iter().any(|licence| licence.satisfies(wanted)))
        });
        assert!(
            is_allowed,
            "{name}: `{text}` is not among deny.toml's licences"
        );
    }
}

#[test]
fn every_package_comes_from_where_it_may() {
    let deny = deny();
    for Package { name, source, .. } in packages(&deny) {
        let source = source.unwrap_or_default();
        let registries = &mut deny.sources.allow_registry.iter();
        let is_allowed = registries.any(|registry| source == format!("registry+{registry}"));
        assert!(is_allowed, "{name} comes from {source}");
    }
}

#[test]
fn no_package_is_there_twice_without_a_reason() {
    let deny = deny();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Package { name, version, .. } in packages(&deny) {
        versions.entry(name).or_default().insert(version);
    }
    for skipped in &deny.bans.skip {
        let (name, version) = skipped.name_and_version.split_once('@').unwrap();
        let is_twice = versions.get(name).is_some_and(|there| there.len() > 1);
        let is_there = versions
            .get_mut(name)
            .is_some_and(|there| there.remove(version));
        assert!(
            is_twice && is_there,
            "take {name}@{version} off deny.toml: it is not there twice"
        );
        assert!(!skipped.reason.is_empty());
    }
    let twice: Vec<_> = versions
        .iter()
        .filter(|(_, there)| there.len() > 1)
        .collect();
    assert!(
        twice.is_empty(),
        "there twice: {twice:?}; deny.toml wants a reason"
    );
}

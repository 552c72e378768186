//! How the house is kept: a file is one idea, components only export, and nothing outside them lives in a static.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Of all Rust files, in lines.
const MAX_MEDIAN: usize = 130;
/// Nine of ten are no longer.
const MAX_NINE_TENTHS: usize = 260;
/// None is longer.
const MAX_LINES: usize = 400;
/// All components together.
const MAX_COMPONENTS: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All Rust files below these folders, with their texts.
fn files(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().unwrap() != "target" {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn a_file_is_one_idea() {
    let files = files(&["components", "crates", "fuzz", "host", "tests"]);
    let mut lines: Vec<(usize, PathBuf)> = files
        .into_iter()
        .map(|(path, text)| (text.lines().count(), path))
        .collect();
    lines.sort();
    let at = |index: usize| lines[index].0;
    let (median, nine_tenths) = (at(lines.len() / 2), at(lines.len() * 9 / 10));
    let longest: Vec<String> = lines
        .iter()
        .rev()
        .take(20)
        .map(|(lines, path)| format!("{lines} {}", path.display()))
        .collect();
    assert!(
        median <= MAX_MEDIAN && nine_tenths <= MAX_NINE_TENTHS && at(lines.len() - 1) <= MAX_LINES,
        "median {median} of {MAX_MEDIAN}, nine of ten {nine_tenths} of {MAX_NINE_TENTHS}, none above {MAX_LINES}; the longest:\n{}",
        longest.join("\n")
    );
}

#[test]
fn components_export_and_choose_the_platform() {
    let lines: usize = files(&["components"])
        .iter()
        .map(|(_, text)| text.lines().count())
        .sum();
    assert!(lines <= MAX_COMPONENTS, "{lines} of {MAX_COMPONENTS} lines");
}

#[test]
fn no_runtime_state_is_static_outside_components() {
    // The names are put together, so that this file does not hold them.
    let forbidden = ["Once", "Lazy"].map(|word| format!("{word}Lock"));
    for (path, text) in files(&["crates"]) {
        // Expressions that never change, compiled when an error is first told: at an instance's start they would cost a
        // millisecond that most instances have no use for.
        if path.ends_with("llm/src/redaction.rs") {
            continue;
        }
        for word in &forbidden {
            assert!(!text.contains(word), "{word} in {}", path.display());
        }
    }
}

#[test]
fn no_two_types_have_one_name() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, text) in files(&["crates"]) {
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        for name in text.lines().filter_map(type_of) {
            places
                .entry(name.to_owned())
                .or_default()
                .push(path.clone());
        }
    }
    // Each crate may have one `Error`, which is named with its crate.
    places.retain(|name, paths| name != "Error" && paths.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

/// The type that is declared in this line for more than its file.
fn type_of(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix("pub")?;
    let line = match line.strip_prefix('(') {
        Some(within) => within.split_once(')')?.1,
        None => line,
    };
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    let kinds = ["struct", "enum", "trait", "type", "union"];
    let kind = words.by_ref().find(|word| !word.is_empty())?;
    kinds.contains(&kind).then(|| words.next()).flatten()
}

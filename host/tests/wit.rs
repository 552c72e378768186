//! The interfaces that the host serves are those of the spin-sdk crate that the components are built
//! with.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a failed test is a panic"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Package and interface, and what the interface consists of.
type Interfaces = BTreeMap<(String, String), Vec<String>>;

#[test]
fn served_interfaces_equal_those_of_the_sdk() {
    let served = interfaces(&Path::new(env!("CARGO_MANIFEST_DIR")).join("wit/deps"));
    let sdk = interfaces(&sdk_folder().join("wit/deps"));
    assert_eq!(served.len(), 5, "{:?}", served.keys());
    for (name, tokens) in &served {
        let expected = sdk.get(name);
        assert!(expected.is_some(), "the SDK has no {name:?}");
        assert_eq!(Some(tokens), expected, "{name:?} differs");
    }
}

/// Where cargo unpacked the SDK.
fn sdk_folder() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let sdk = packages.iter().find(|it| it["name"] == "spin-sdk").unwrap();
    let manifest = Path::new(sdk["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().to_owned()
}

/// All interfaces of a folder with a folder for each package.
fn interfaces(folder: &Path) -> Interfaces {
    let mut found = Interfaces::new();
    for package in folder.read_dir().unwrap() {
        let files: Vec<Vec<String>> = package
            .unwrap()
            .path()
            .read_dir()
            .unwrap()
            .map(|file| tokens(&std::fs::read_to_string(file.unwrap().path()).unwrap()))
            .collect();
        let name = files
            .iter()
            .find_map(|tokens| value_after("package", tokens))
            .unwrap();
        for tokens in &files {
            for (at, _) in tokens
                .iter()
                .enumerate()
                .filter(|(_, it)| *it == "interface")
            {
                let body = block(&tokens[at + 2..]);
                found.insert((name.clone(), tokens[at + 1].clone()), body);
            }
        }
    }
    found
}

fn value_after(keyword: &str, tokens: &[String]) -> Option<String> {
    let at = tokens.iter().position(|token| token == keyword)?;
    Some(
        tokens[at + 1..]
            .iter()
            .take_while(|it| *it != ";")
            .cloned()
            .collect(),
    )
}

/// What stands between the first brace and the one that closes it.
fn block(tokens: &[String]) -> Vec<String> {
    let mut depth = 0_i32;
    let inner = tokens.iter().take_while(|token| {
        depth += match token.as_str() {
            "{" => 1,
            "}" => -1,
            _ => 0,
        };
        depth > 0
    });
    inner.cloned().collect()
}

/// Words and punctuation without comments, and without commas that end a list.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    for line in text.lines() {
        let code = line.split("//").next().unwrap();
        let mut word = String::new();
        for character in code.chars().chain([' ']) {
            if character.is_alphanumeric() || "-_%@.".contains(character) {
                word.push(character);
                continue;
            }
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word));
            }
            if character.is_whitespace() {
                continue;
            }
            if character == '}' && tokens.last().is_some_and(|it| it == ",") {
                tokens.pop();
            }
            tokens.push(character.to_string());
        }
    }
    tokens
}

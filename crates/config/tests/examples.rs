//! What the repository shows of `gateway.yaml` can be used as it stands: the starter, the one of the compose overlay,
//! and every fenced block of the documentation that begins with the line `# gateway.yaml`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use spillway_config::{
    AllowedHosts, Checked, Gateway, ProviderKey, missing_hosts, normal_form, parse_normal_form,
    read, template,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn load(text: &str, place: &str) -> Checked {
    read(text).unwrap_or_else(|diagnostics| {
        let lines: Vec<String> = diagnostics
            .iter()
            .map(|diagnostic| diagnostic.in_file(place).to_string())
            .collect();
        panic!("{}", lines.join("\n"))
    })
}

#[test]
fn the_starter_configures_nothing() {
    let text = fs::read_to_string(root().join("gateway.yaml")).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=./gateway.schema.json\n"));
    let checked = load(&text, "gateway.yaml");
    assert_eq!(checked.gateway, Gateway::default());
    assert!(checked.warnings.is_empty());
}

#[test]
fn the_starter_works_when_uncommented() {
    let checked = load(&uncommented_starter(), "gateway.yaml");
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    let gateway = checked.gateway;
    assert_eq!(gateway.agents.len(), 1);
    assert_eq!(
        gateway
            .models
            .first()
            .unwrap()
            .routes
            .first()
            .unwrap()
            .targets
            .len(),
        2
    );

    let json = normal_form(&gateway);
    let names = template::names(&json);
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["dify_key", "model_studio_key", "openai_key"]
    );
    let resolved = template::resolve(&json, |name| Some(format!("value of {name}"))).unwrap();
    let resolved = parse_normal_form(&resolved).unwrap();
    assert_eq!(
        resolved.providers.first().unwrap().api_keys,
        [ProviderKey::plain("value of openai_key")]
    );
}

#[test]
fn the_starter_needs_no_more_hosts_than_it_says() {
    let gateway = load(&uncommented_starter(), "gateway.yaml").gateway;
    let needed = missing_hosts(&gateway, &BTreeMap::new());
    let needed: Vec<_> = needed
        .iter()
        .map(|(component, entry)| (*component, entry.as_str()))
        .collect();
    assert_eq!(
        needed,
        [
            ("ingress", "http://api:5001"),
            ("ingress", "http://api_websocket:5001"),
            ("ingress", "http://plugin_daemon:5002"),
            ("ingress", "http://web:3000"),
            ("model", "https://api.openai.com"),
            ("model", "https://dashscope.aliyuncs.com"),
        ]
    );
    let ingress = [
        "http://api:5001",
        "http://api_websocket:5001",
        "http://web:3000",
        "http://*:5002",
    ];
    let ingress = AllowedHosts::parse(ingress).unwrap();
    let model = AllowedHosts::parse(["https://*:443"]).unwrap();
    let allowed = BTreeMap::from([("ingress".to_owned(), ingress), ("model".to_owned(), model)]);
    assert!(missing_hosts(&gateway, &allowed).is_empty());
}

#[test]
fn the_compose_overlay_works_and_allows_the_hosts_that_it_needs() {
    let folder = root().join("deploy/compose");
    let text = fs::read_to_string(folder.join("gateway.yaml")).unwrap();
    let checked = load(&text, "deploy/compose/gateway.yaml");
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    let manifest = fs::read_to_string(folder.join("spin.toml")).unwrap();
    for (component, entry) in missing_hosts(&checked.gateway, &BTreeMap::new()) {
        let (_, table) = manifest
            .split_once(&format!("[component.{component}]"))
            .unwrap();
        let (table, _) = table.split_once("[component.").unwrap();
        assert!(
            table.contains(&format!("\"{entry}\"")),
            "{component}: {entry}"
        );
    }
}

#[test]
fn the_compose_overlays_samples_work_alone_and_together() {
    let place = "deploy/compose/gateway.yaml";
    let text = fs::read_to_string(root().join(place)).unwrap();
    let models = load(&uncommented(&text, "models"), place);
    assert_eq!(models.gateway.models.len(), 1);
    let knowledge = load(&uncommented(&text, "knowledge"), place);
    assert_eq!(knowledge.gateway.knowledge.len(), 1);
    let both = load(
        &uncommented(&uncommented(&text, "models"), "knowledge"),
        place,
    );
    assert_eq!(
        (both.gateway.models.len(), both.gateway.knowledge.len()),
        (1, 1)
    );
    for checked in [models, knowledge, both] {
        assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    }
}

#[test]
fn the_documentation_shows_nothing_that_fails() {
    let mut pages = vec![root().join("README.md")];
    for folder in ["docs", "deploy/compose"] {
        if let Ok(entries) = fs::read_dir(root().join(folder)) {
            pages.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap_or_default();
        for (line, block) in blocks(&text) {
            load(&block, &format!("{}, block in line {line}", page.display()));
        }
    }
}

#[test]
fn blocks_are_found_where_they_stand() {
    let page = "a\n```yaml\n# gateway.yaml\nstate: {}\n```\n```yaml\nother: {}\n```\n- b\n  ```yaml\n  # gateway.yaml\n  a:\n    b: c\n  ```\n";
    assert_eq!(
        blocks(page),
        [
            (2, "# gateway.yaml\nstate: {}\n".to_owned()),
            (10, "# gateway.yaml\na:\n  b: c\n".to_owned())
        ]
    );
}

fn uncommented_starter() -> String {
    let text = fs::read_to_string(root().join("gateway.yaml")).unwrap();
    uncommented(&text, "first configuration")
}

/// The text with the lines between two marks uncommented.
fn uncommented(text: &str, sample: &str) -> String {
    let (before, rest) = text
        .split_once(&format!("# --- {sample}: from here ---\n"))
        .unwrap();
    let (block, after) = rest
        .split_once(&format!("# --- {sample}: to here ---\n"))
        .unwrap();
    let uncommented: Vec<&str> = block
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .or_else(|| line.strip_prefix('#'))
                .unwrap()
        })
        .collect();
    format!("{before}{}\n{after}", uncommented.join("\n"))
}

/// The fenced YAML blocks of a page whose first line is `# gateway.yaml`, each with the line of its fence.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.trim() != "```yaml" {
            continue;
        }
        let indent = line.split("```").next().unwrap_or_default();
        let body: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| line.trim() != "```")
            .map(|line| line.strip_prefix(indent).unwrap_or(line))
            .collect();
        if body
            .first()
            .is_some_and(|first| first.trim() == "# gateway.yaml")
        {
            blocks.push((index.saturating_add(1), body.join("\n") + "\n"));
        }
    }
    blocks
}

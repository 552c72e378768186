//! The application's manifest, changed for a test: nothing but addresses and paths.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml_edit::{Array, DocumentMut, Item, TableLike, Value};

use crate::repository::ensure_built;

/// The file that components read without the variable `gateway_config`. Each test has its own, in its directory.
pub(crate) const NORMAL_FORM: &str = "gateway.json";

/// The repository's `spin.toml` as a test needs it in another directory: sources and mounted files by absolute
/// paths, and these hosts as the only ones to send to.
///
/// # Errors
/// When it is no manifest, or a component is not built.
pub(crate) fn derive_manifest(manifest: &str, root: &Path, hosts: &[String]) -> Result<String> {
    let mut document: DocumentMut = manifest.parse().context("spin.toml is no TOML")?;
    let components = document
        .get_mut("component")
        .and_then(Item::as_table_like_mut);
    for (name, component) in components.context("spin.toml has no component")?.iter_mut() {
        let component = component
            .as_table_like_mut()
            .with_context(|| format!("component.{name} is no table"))?;
        if let Some(source) = component.get("source").and_then(Item::as_str) {
            let source = root.join(source);
            ensure_built(&source)?;
            component.insert("source", text(&source));
        }
        let hosts: Array = hosts.iter().map(String::as_str).collect();
        component.insert("allowed_outbound_hosts", Item::Value(Value::Array(hosts)));
        if let Some(files) = component.get_mut("files").and_then(Item::as_array_mut) {
            files
                .iter_mut()
                .filter_map(Value::as_inline_table_mut)
                .for_each(|mount| place(mount, root));
        }
    }
    Ok(document.to_string())
}

/// Makes the source of a mount absolute, unless it is the configuration.
fn place(mount: &mut dyn TableLike, root: &Path) {
    let source = mount
        .get("source")
        .and_then(Item::as_str)
        .map(PathBuf::from);
    match source {
        Some(source) if source.ends_with(NORMAL_FORM) => {
            mount.insert("source", text(Path::new(NORMAL_FORM)));
        }
        Some(source) => {
            mount.insert("source", text(&root.join(source)));
        }
        None => {}
    }
}

fn text(path: &Path) -> Item {
    Item::Value(Value::from(path.to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
spin_manifest_version = 2

[application]
name = "a"

[[trigger.http]]
route = "/..."
component = "ingress"

[component.ingress]
source = "target/a.wasm"
files = [{ source = "build/gateway.json", destination = "/gateway.json" }, { source = "data", destination = "/data" }]
allowed_outbound_hosts = ["http://api:5001"]

[component.console]
source = "target/b.wasm"
"#;

    #[test]
    fn only_paths_and_addresses_change() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("target")).unwrap();
        for name in ["target/a.wasm", "target/b.wasm"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        let hosts = [
            "http://127.0.0.1:*".to_owned(),
            "redis://127.0.0.1:*".to_owned(),
        ];
        let derived = derive_manifest(MANIFEST, root.path(), &hosts).unwrap();
        let document: DocumentMut = derived.parse().unwrap();
        for name in ["ingress", "console"] {
            let component = &document["component"][name];
            let source = Path::new(component["source"].as_str().unwrap());
            assert!(source.is_absolute() && source.exists(), "{derived}");
            assert_eq!(
                component["allowed_outbound_hosts"]
                    .as_array()
                    .unwrap()
                    .len(),
                2,
                "{derived}"
            );
        }
        let files = &document["component"]["ingress"]["files"];
        assert_eq!(files[0]["source"].as_str(), Some("gateway.json"));
        let data = files[1]["source"].as_str().unwrap();
        assert_eq!(Path::new(data), root.path().join("data"));
        assert!(derived.contains("route = \"/...\""), "{derived}");
    }

    #[test]
    fn a_component_that_is_not_built_is_named() {
        let root = tempfile::tempdir().unwrap();
        let error = derive_manifest(MANIFEST, root.path(), &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a.wasm") && error.contains("./scripts/test"),
            "{error}"
        );
    }
}

use super::*;

const MANIFEST: &str = r#"
spin_manifest_version = 2

[application]
name = "gateway"
version = "1.2.3"
authors = ["someone"]

[variables]
admin_token = { default = "", secret = true }
upstream = { required = true }

[[trigger.http]]
route = "/..."
component = "ingress"

[[trigger.http]]
id = "inner"
route = { private = true }
component = "rate-limiter"
executor = { type = "http" }

[component.ingress]
source = "target/ingress.wasm"
description = "what comes in"
files = ["gateway.json", { source = "pages", destination = "/" }]
exclude_files = ["pages/*.md"]
allowed_outbound_hosts = ["https://{{ upstream }}", "http://*.spin.internal"]
key_value_stores = ["default"]
environment = { RUST_LOG = "info" }
[component.ingress.variables]
token = "{{ admin_token }}"
[component.ingress.build]
command = "cargo build"
watch = ["src/**/*.rs"]
[component.ingress.tool.other]
anything = 1

[component.rate-limiter]
source = "/opt/limiter.wasm"
"#;

fn read(text: &str) -> Result<Manifest, String> {
    Manifest::from_document(&TomlDocument::new("app/spin.toml", text))
        .map_err(|error| error.to_string())
}

fn refusal(from: &str, to: &str) -> String {
    assert!(MANIFEST.contains(from), "{from}");
    read(&MANIFEST.replace(from, to)).unwrap_err()
}

#[test]
fn a_manifest_is_read() {
    let manifest = read(MANIFEST).unwrap();
    assert_eq!(manifest.root, Path::new("app"));
    assert_eq!(manifest.name, "gateway");
    assert_eq!(manifest.version.as_deref(), Some("1.2.3"));
    assert!(manifest.variables["admin_token"].secret);
    assert_eq!(manifest.variables["upstream"].default, None);
    assert_eq!(manifest.triggers[0].route.as_deref(), Some("/..."));
    assert_eq!(manifest.triggers[1].route, None);
    let ingress = &manifest.components["ingress"];
    assert_eq!(ingress.source, Path::new("app/target/ingress.wasm"));
    assert_eq!(ingress.files.len(), 2);
    assert_eq!(ingress.allowed_outbound_hosts.len(), 2);
    assert_eq!(ingress.environment["RUST_LOG"], "info");
    assert_eq!(
        manifest.components["rate-limiter"].source,
        Path::new("/opt/limiter.wasm")
    );
}

#[test]
fn what_the_host_does_not_know_is_named_with_its_line() {
    let message = refusal("description = \"what", "sqlite_databases = [\"x\"] #");
    assert!(
        message.starts_with("app/spin.toml:25:1: error: unknown field `sqlite_databases`"),
        "{message}"
    );
    let message = refusal("[[trigger.http]]\nid", "[[trigger.redis]]\nid");
    assert!(message.contains("unknown field `redis`"), "{message}");
    let message = refusal(
        "source = \"/opt/limiter.wasm\"",
        "source = { url = \"https://x/y.wasm\", digest = \"sha256:1\" }",
    );
    assert!(
        message.starts_with("app/spin.toml:40:10: error: a source is the path"),
        "{message}"
    );
    let message = refusal("{ type = \"http\" }", "{ type = \"wagi\" }");
    assert!(message.contains("executor `wagi`"), "{message}");
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let message = refusal("component = \"rate-limiter\"", "component = \"limiter\"");
    assert!(message.contains("no component `limiter`"), "{message}");
    let message = refusal("https://{{ upstream }}", "https://{{ downstream }}");
    assert!(
        message.contains("`downstream` is not in [variables]"),
        "{message}"
    );
    let message = refusal("{ required = true }", "{ }");
    assert!(message.contains("needs `default"), "{message}");
    let message = refusal("upstream = { r", "up-stream = { r");
    assert!(
        message.contains("`up-stream` is no variable name"),
        "{message}"
    );
    let message = refusal("private = true", "private = false");
    assert!(message.contains("{ private = true }"), "{message}");
    let message = refusal("version = 2", "version = 1");
    assert!(message.contains("manifest version 2"), "{message}");
    let message = refusal("{{ upstream }}", "{{ upstream");
    assert!(message.contains("}}"), "{message}");
}

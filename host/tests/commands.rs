//! What `spillway` says and the exit codes it ends with.
#![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::path::Path;
use std::process::{Command, Output};

const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "gateway"
[variables]
gateway_config = { default = "" }
secrets = { default = "", secret = true }
[trigger]
http = []
[component.ingress]
source = "missing.wasm"
allowed_outbound_hosts = ["http://api:5001"]
"#;

const CONFIG: &str = "
agents:
  - name: dify
    services:
      api: http://api:5001
      web: http://web:3000
";

fn spillway(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spillway"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("SPIN_VARIABLE_GATEWAY_CONFIG")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spin.toml"), MANIFEST).unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), config).unwrap();
    folder
}

#[test]
fn check_names_missing_hosts_adds_them_and_writes_the_normal_form() {
    let folder = folder(CONFIG);
    let check = |arguments: &[&str]| {
        let output = spillway(folder.path(), &[&["check"], arguments].concat());
        (output.status.code(), stderr(&output), output.stdout)
    };
    let (code, told, _) = check(&["--write", "gateway.json"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("[component.ingress]:\n    \"http://web:3000\","),
        "{told}"
    );
    assert!(!told.contains("http://api:5001"), "{told}");
    assert!(!folder.path().join("gateway.json").exists());
    let (code, told, _) = check(&["--embedded"]);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let (code, told, stdout) = check(&["--write-hosts", "--write", "gateway.json"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("http://web:3000"), "{told}");
    assert!(stdout.starts_with(b"gateway.yaml: no errors (configuration version "));
    let manifest = std::fs::read_to_string(folder.path().join("spin.toml")).unwrap();
    let expected = MANIFEST.replace(
        "[\"http://api:5001\"]",
        "[\"http://api:5001\", \"http://web:3000\"]",
    );
    assert_eq!(manifest, expected);
    let (code, told, _) = check(&[]);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let json = std::fs::read_to_string(folder.path().join("gateway.json")).unwrap();
    assert!(json.starts_with('{') && json.ends_with("}\n"), "{json}");
}

#[test]
fn check_and_up_refuse_the_same_file_the_same_way() {
    let folder = folder("agentz: []\n");
    let check = spillway(folder.path(), &["check"]);
    assert_eq!(check.status.code(), Some(1));
    let told = stderr(&check);
    assert!(
        told.contains("gateway.yaml:1:1: error: ") && told.contains("`agents`"),
        "{told}"
    );
    let up = spillway(folder.path(), &["up", "--config", "gateway.yaml"]);
    assert_eq!(up.status.code(), Some(1));
    assert_eq!(stderr(&up), told);
}

const WITH_A_SECRET: &str = r#"
agents:
  - { name: dify, services: { api: "http://api:5001" } }
models:
  - { name: llm, routes: [{ targets: [{ provider: p }] }] }
providers:
  - { name: p, base_url: "http://api:5001/v1", api_keys: ["{{ p_key }}"] }
"#;

#[test]
fn secrets_are_looked_at_where_some_are_given_and_before_the_start() {
    let folder = folder(WITH_A_SECRET);
    let run = |arguments: &[&str]| {
        let output = spillway(folder.path(), arguments);
        (output.status.code(), stderr(&output))
    };
    let (code, told) = run(&["check"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("not given here") && told.contains("`p_key`"),
        "{told}"
    );
    for (given, what) in [
        ("secrets={\"other\": \"x\"}", "not given: `p_key`"),
        ("secrets={\"p_key\": \" \"}", "empty: `p_key`"),
        ("secrets={\"p_key\": 7}", "line 1, column"),
    ] {
        for command in ["check", "up"] {
            let (code, told) = run(&[command, "--variable", given]);
            assert_eq!(code, Some(1), "{command} {given}: {told}");
            assert!(told.contains(what), "{command} {given}: {told}");
        }
    }
    let (code, told) = run(&["check", "--variable", "secrets={\"p_key\": \"sk-1\\n\"}"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        !told.contains("not given") && !told.contains("sk-1"),
        "{told}"
    );
    let (code, told) = run(&["up"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("not given: `p_key`"), "{told}");
    let (code, told) = run(&["check", "--variable", "secret={}"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("declares no such variable") && told.contains("`secrets`"),
        "{told}"
    );
}

#[test]
fn up_says_what_is_missing() {
    let folder = folder(CONFIG);
    let output = spillway(folder.path(), &["up"]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(
        told.contains("component `ingress`: missing.wasm cannot be read"),
        "{told}"
    );

    let output = spillway(folder.path(), &["up", "--from", "other.toml"]);
    let told = stderr(&output);
    assert!(
        told.contains("--from") && told.contains("other.toml"),
        "{told}"
    );

    let output = spillway(folder.path(), &["up", "--variable", "colour=green"]);
    assert!(
        stderr(&output).contains("--variable colour"),
        "{}",
        stderr(&output)
    );

    std::fs::remove_file(folder.path().join("gateway.yaml")).unwrap();
    let output = spillway(folder.path(), &["up"]);
    assert!(
        stderr(&output).contains("no configuration"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn wrong_usage_is_another_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["up", "--header-timeout", "soon"][..],
        &["up", "--tls-cert", "x.pem"],
        &["serve"],
    ] {
        let output = spillway(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_schema_is_json() {
    let output = spillway(Path::new("."), &["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema.get("$schema").is_some());
}

#[test]
fn check_reads_standard_input_and_tells_as_json() {
    use std::io::Write as _;
    let check = |arguments: &[&str], text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_spillway"))
            .args(arguments)
            .current_dir(folder.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    let fine = check(&["check", "-"], CONFIG);
    assert_eq!(fine.status.code(), Some(0), "{}", stderr(&fine));
    let words = b"standard input: no errors (configuration version ";
    assert!(fine.stdout.starts_with(words));
    let wrong = check(&["check", "-"], "agentz: []\n");
    assert!(
        stderr(&wrong).contains("standard input:1:1: error: unknown key `agentz`"),
        "{}",
        stderr(&wrong)
    );

    let wrong = check(&["check", "-", "--format", "json"], "agentz: []\n");
    assert_eq!(wrong.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(told["errors"], 1);
    assert_eq!(told["diagnostics"][0]["line"], 1);
    assert_eq!(told["diagnostics"][0]["severity"], "error");
    let fine = check(&["check", "-", "--format", "json"], CONFIG);
    assert_eq!(fine.status.code(), Some(0));
    // A secret where a key's name belongs is not repeated.
    let secret = check(
        &["check", "-"],
        "providers:\n  - name: p\n    base_url: http://p\n    sk-1234567890abcdef: x\n",
    );
    assert!(
        !stderr(&secret).contains("1234567890"),
        "{}",
        stderr(&secret)
    );
}

#[test]
fn whatever_publishes_something_is_more_than_the_demo() {
    let agents = CONFIG;
    let models = "models: [{ name: m, routes: [{ targets: [{ provider: p }] }] }]\n\
        providers: [{ name: p, base_url: 'http://api:5001/v1' }]\n";
    let knowledge = "knowledge: [{ name: k, api_keys: [k], backend: { type: ragflow, base_url: 'http://r', api_key: r } }]\n";
    for (config, expected) in [
        (agents, 0),
        (models, 0),
        (knowledge, 0),
        ("consumers: []\n", 1),
    ] {
        let folder = folder(config);
        let output = spillway(
            folder.path(),
            &["check", "--embedded", "--require-upstream"],
        );
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(expected), "{config}: {told}");
        if expected == 1 {
            let says = "configure `agents`, `models` or `knowledge`";
            assert!(told.contains(says), "{told}");
        }
    }
}

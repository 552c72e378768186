//! `spillway check` and `spillway schema`.

use anyhow::{Context, Result};
use serde_json::Value;
use spillway_tests::{Options, prepare, run};

use crate::{MISSPELT, RIGHT, assert_names, spillway};

/// What is wrong, the file, and what the message has to name.
const MISTAKES: [(&str, &str, [&str; 2]); 7] = [
    (
        "an unknown provider",
        r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: opnai }]
providers:
  - { name: openai, base_url: "http://127.0.0.1:1/v1" }
"#,
        ["opnai", "openai"],
    ),
    (
        "an unknown consumer",
        r#"
consumers:
  - { name: dify, credentials: [{ api_key: "{{ key }}" }] }
models:
  - name: llm
    policies: { auth: [difi] }
    routes:
      - targets: [{ provider: one }]
providers:
  - { name: one, base_url: "http://127.0.0.1:1/v1" }
"#,
        ["difi", "dify"],
    ),
    (
        "two providers of one name",
        r#"
providers:
  - { name: one, base_url: "http://127.0.0.1:1/v1" }
  - { name: one, base_url: "http://127.0.0.1:2/v1" }
"#,
        ["one", "4"],
    ),
    (
        "a bad duration",
        "agents:\n  - name: dify\n    services: {}\n    timeouts: { idle: 5 parsecs }\n",
        ["parsecs", "4"],
    ),
    (
        "a bad URL",
        "agents:\n  - name: dify\n    services: { api: \"api:5001/x\" }\n",
        ["URL", "3:"],
    ),
    ("a key twice", "agents: []\nagents: []\n", ["agents", "2"]),
    ("no YAML", "agents: [\n", ["gateway.yaml", ""]),
];

#[test]
fn check_names_line_column_and_the_right_key() -> Result<()> {
    run(async {
        let directory = prepare(MISSPELT, &Options::default())?;
        let refused = spillway(directory.path(), &["check", "gateway.yaml"]).await?;
        assert_eq!(refused.code, Some(1), "{}", refused.everything());
        assert_names(&refused.everything(), 3, 5, "servces");
        assert_names(&refused.everything(), 3, 5, "services");
        let directory = prepare(RIGHT, &Options::default())?;
        let taken = spillway(directory.path(), &["check", "gateway.yaml"]).await?;
        assert_eq!(taken.code, Some(0), "{}", taken.everything());
        Ok(())
    })
}

#[test]
fn check_finds_what_does_not_fit_together() -> Result<()> {
    run(async {
        for (what, yaml, names) in MISTAKES {
            let directory = prepare(yaml, &Options::default())?;
            let refused = spillway(directory.path(), &["check", "gateway.yaml"]).await?;
            let said = refused.everything();
            assert_eq!(refused.code, Some(1), "{what} was taken: {said}");
            for name in names {
                assert!(said.contains(name), "{what}: {name:?} is not named: {said}");
            }
        }
        let directory = prepare(RIGHT, &Options::default())?;
        let missing = spillway(directory.path(), &["check", "nowhere.yaml"]).await?;
        assert_eq!(missing.code, Some(1));
        assert!(
            missing.everything().contains("nowhere.yaml"),
            "{}",
            missing.everything()
        );
        Ok(())
    })
}

#[test]
fn check_writes_a_normal_form_that_it_takes_itself() -> Result<()> {
    run(async {
        let directory = prepare(RIGHT, &Options::default())?;
        for (from, to) in [("gateway.yaml", "one.json"), ("one.json", "two.json")] {
            let written = spillway(directory.path(), &["check", from, "--write", to]).await?;
            assert_eq!(written.code, Some(0), "{from}: {}", written.everything());
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name));
        let (one, two): (Value, Value) = (
            serde_json::from_str(&read("one.json")?)?,
            serde_json::from_str(&read("two.json")?)?,
        );
        assert_eq!(one, two);
        assert_eq!(
            one.pointer("/agents/0/services/api"),
            Some(&Value::from("http://127.0.0.1:5001"))
        );
        assert_eq!(
            one.pointer("/agents/0/base_path"),
            Some(&Value::from("/")),
            "defaults are spelt out"
        );
        Ok(())
    })
}

#[test]
fn check_prints_the_hosts_that_the_manifest_lacks() -> Result<()> {
    run(async {
        let yaml =
            "agents:\n  - name: dify\n    services:\n      api: http://elsewhere.example:5001\n";
        let directory = prepare(yaml, &Options::default())?;
        let checked = spillway(directory.path(), &["check", "gateway.yaml"]).await?;
        assert_eq!(checked.code, Some(1));
        let said = checked.everything();
        assert!(
            said.contains("http://elsewhere.example:5001"),
            "the line to add is not printed: {said}"
        );
        assert!(said.contains("allowed_outbound_hosts"), "{said}");
        // The embedded host grants them by itself; for Spin they are written down.
        let embedded = spillway(directory.path(), &["check", "gateway.yaml", "--embedded"]).await?;
        assert_eq!(embedded.code, Some(0), "{}", embedded.everything());
        let written = spillway(
            directory.path(),
            &["check", "gateway.yaml", "--write-hosts"],
        )
        .await?;
        assert_eq!(written.code, Some(0), "{}", written.everything());
        let again = spillway(directory.path(), &["check", "gateway.yaml"]).await?;
        assert_eq!(again.code, Some(0), "{}", again.everything());
        Ok(())
    })
}

#[test]
fn schema_is_a_json_schema() -> Result<()> {
    run(async {
        let directory = prepare(RIGHT, &Options::default())?;
        let printed = spillway(directory.path(), &["schema"]).await?;
        assert_eq!(printed.code, Some(0), "{}", printed.errors);
        let schema: Value =
            serde_json::from_str(&printed.output).context("the schema is no JSON")?;
        for key in ["agents", "models", "providers", "consumers"] {
            assert!(
                schema.pointer(&format!("/properties/{key}")).is_some(),
                "{key} is not described"
            );
        }
        Ok(())
    })
}

//! Keys that have run out, or will.

use std::process::Command;

use anyhow::Result;
use spillway_tests::{
    Reason, assert_openai_error, prepare, provider, reason, run, run_to_end, spillway_binary,
    standin::StandinModel,
};

use crate::{chat, served, start};

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - match: { model: ["backed-*"] }
        targets: [{ provider: over }, { provider: good }]
      - targets: [{ provider: over }]
providers:
  - { name: over, base_url: "$vendor", api_keys: [{ key: sk-ran-out, expires: 2020-01-01 }] }
  - { name: good, base_url: "$vendor", api_keys: [sk-is-good] }
"#;

#[test]
fn a_provider_without_a_good_key_is_not_called() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let answer = served(&gateway, "backed-a", "hi").await?;
        assert_eq!(provider(&answer.head).as_deref(), Some("good"));
        let answer = gateway.call(&chat("alone", "hi")).await?;
        let message = assert_openai_error(&answer, 503);
        assert!(
            message.contains("over") && !message.contains("sk-"),
            "{message}"
        );
        reason(&answer.head, Reason::Misconfigured);
        assert_eq!(vendor.requests().len(), 1);
        Ok(())
    })
}

#[test]
fn check_warns_before_a_key_runs_out() -> Result<()> {
    run(async {
        let mut date = Command::new("date");
        let date = run_to_end(date.args(["-u", "-d", "+7 days", "+%F"])).await?;
        let soon = date.output.trim();
        let yaml = YAML.replace("$vendor", "http://127.0.0.1:9/v1").replace(
            "[sk-is-good]",
            &format!("[{{ key: sk-is-good, expires: {soon} }}]"),
        );
        let directory = prepare(&yaml, &spillway_tests::Options::default())?;
        let mut check = Command::new(spillway_binary()?);
        check
            .args(["check", "gateway.yaml"])
            .current_dir(directory.path());
        let said = run_to_end(&mut check).await?.everything();
        assert!(said.contains(soon) && said.contains("2020-01-01"), "{said}");
        assert!(!said.contains("sk-"), "a key in {said}");
        Ok(())
    })
}

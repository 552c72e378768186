//! All keys, or all targets, limited at once.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Reason, message, provider, reason, run,
    standin::{Behaviour, Reply, StandinModel, chat_text},
};

use crate::{served, start};

fn limited(retry_after: &str) -> Behaviour {
    let error =
        json!({"message": "slow down", "type": "rate_limit_error", "param": null, "code": null});
    let reply = Reply::json(429, &json!({"error": error}));
    Behaviour::Reply(reply.header("Retry-After", retry_after))
}

#[test]
fn a_call_that_finds_every_key_limited_waits_as_it_was_asked_to() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let yaml = r#"
models:
  - name: llm
    routes: [{ targets: [{ provider: vendor, model: m }] }]
providers:
  - { name: vendor, base_url: "$vendor", api_keys: [sk-lim-1, sk-lim-2] }
"#;
        let gateway = start(yaml, &[("vendor", &vendor)]).await?;
        for _ in 0..2 {
            vendor.next(limited("1"));
        }
        let answer = served(&gateway, "any", "hi").await?;
        assert_eq!(message(&answer.json()), chat_text("m", "hi"));
        Ok(())
    })
}

#[test]
fn a_call_that_finds_every_target_limited_waits_as_it_was_asked_to() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let yaml = r#"
models:
  - name: llm
    routes: [{ targets: [{ provider: first, model: m }, { provider: second, model: m }] }]
providers:
  - { name: first, base_url: "$first", api_keys: [sk-lim-1] }
  - { name: second, base_url: "$second", api_keys: [sk-lim-2] }
"#;
        let gateway = start(yaml, &[("first", &first), ("second", &second)]).await?;
        first.next(limited("1"));
        second.next(limited("1"));
        let answer = served(&gateway, "any", "hi").await?;
        assert_eq!(message(&answer.json()), chat_text("m", "hi"));
        Ok(())
    })
}

#[test]
fn whoever_serves_in_place_of_a_target_that_is_ejected_is_a_fallback() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let yaml = r#"
models:
  - name: llm
    routes: [{ targets: [{ provider: first, model: m }, { provider: second, model: m }] }]
providers:
  - { name: first, base_url: "$first", api_keys: [sk-lim-1] }
  - { name: second, base_url: "$second", api_keys: [sk-lim-2] }
"#;
        let gateway = start(yaml, &[("first", &first), ("second", &second)]).await?;
        first.always(limited("600"));
        for _ in 0..3 {
            let answer = served(&gateway, "any", "hi").await?;
            assert_eq!(provider(&answer.head).as_deref(), Some("second"));
            reason(&answer.head, Reason::Fallback);
        }
        Ok(())
    })
}

//! Which route takes a call, which target it begins with, and what the model is called there.

use anyhow::Result;
use spillway_tests::{
    assert_openai_error, chat_request,
    client::Request,
    provider, run,
    standin::{Behaviour, StandinModel},
};

use crate::{CHAT, chat, served, start};

const YAML: &str = r#"
consumers:
  - { name: team-a, credentials: [{ api_key: sk-team-a }] }
models:
  - name: llm
    routes:
      - match: { model: ["regexp:^qwen[0-9]+$"] }
        targets: [{ provider: vendor, model: by-regexp }]
      - match: { model: [name], headers: { X-Team: { prefix: blue }, x-test: { present: false } } }
        targets: [{ provider: vendor, model: by-header }]
      - match: { model: [name], path: /v1/embeddings }
        targets: [{ provider: vendor, model: by-path }]
      - match: { model: [name], path: { regex: "completions$" }, consumers: [team-a] }
        targets: [{ provider: vendor, model: by-consumer }]
      - match: { model: ["gpt-?o*"] }
        targets: [{ provider: vendor, model: by-glob }]
      - match: { model: ["mapped-*"] }
        targets:
          - { provider: vendor, models: { mapped-a: exact, "mapped-*": glob, "mapped-long-*": longer } }
          - { provider: second, models: { mapped-a: second-a } }
      - match: { model: [name] }
        targets: [{ provider: vendor, model: the-rest }]
providers:
  - { name: vendor, base_url: "$vendor" }
  - { name: second, base_url: "$second" }
"#;

#[test]
fn names_headers_paths_and_consumers_choose_the_route() -> Result<()> {
    run(async {
        let (vendor, second) = (
            StandinModel::start("vendor")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("vendor", &vendor), ("second", &second)]).await?;
        let embed = Request::json(
            "/llm/v1/embeddings",
            &serde_json::json!({"model": "name", "input": "x"}),
        );
        let without_version = Request {
            target: "/llm/embeddings".to_owned(),
            ..embed.clone()
        };
        for (request, expected) in [
            (chat("qwen25", "hi"), "by-regexp"),
            (chat("name", "hi").header("x-team", "blue-7"), "by-header"),
            (
                chat("name", "hi")
                    .header("x-team", "blue")
                    .header("x-test", "1"),
                "the-rest",
            ),
            (chat("name", "hi").header("x-team", "red"), "the-rest"),
            (embed, "by-path"),
            (without_version, "by-path"),
            (chat("name", "hi").bearer("sk-team-a"), "by-consumer"),
            (chat("name", "hi").bearer("sk-nobody"), "the-rest"),
            (chat("name", "hi"), "the-rest"),
            (chat("gpt-4o", "hi"), "by-glob"),
            (chat("gpt-4o-mini", "hi"), "by-glob"),
        ] {
            let answer = gateway.call(&request).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert_eq!(answer.json()["model"], expected, "{request:?}");
        }
        for unknown in ["qwen", "qwen25-x", "gpt-o", "Name", "xqwen25"] {
            let answer = gateway.call(&chat(unknown, "hi")).await?;
            assert_openai_error(&answer, 404);
        }
        Ok(())
    })
}

#[test]
fn each_target_has_its_own_names_for_models() -> Result<()> {
    run(async {
        let (vendor, second) = (
            StandinModel::start("vendor")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("vendor", &vendor), ("second", &second)]).await?;
        for (asked, sent) in [
            ("mapped-a", "exact"),
            ("mapped-b", "glob"),
            ("mapped-long-b", "longer"),
        ] {
            let answer = served(&gateway, asked, "hi").await?;
            assert_eq!(answer.json()["model"], sent);
            assert_eq!(answer.header("x-gateway-model").as_deref(), Some(sent));
        }
        vendor.always(Behaviour::Error(503));
        for (asked, sent) in [("mapped-a", "second-a"), ("mapped-b", "mapped-b")] {
            assert_eq!(served(&gateway, asked, "hi").await?.json()["model"], sent);
        }
        Ok(())
    })
}

#[test]
fn a_canary_gets_its_share_and_is_backed_by_the_others() -> Result<()> {
    run(async {
        let (vendor, second) = (
            StandinModel::start("vendor")?,
            StandinModel::start("second")?,
        );
        let yaml = r#"
models:
  - name: llm
    routes:
      - targets:
          - { provider: vendor, weight: 90 }
          - { provider: second, weight: 10 }
providers:
  - { name: vendor, base_url: "$vendor" }
  - { name: second, base_url: "$second", breaker: { failures: 100, of: 100 } }
"#;
        let gateway = start(yaml, &[("vendor", &vendor), ("second", &second)]).await?;
        for _ in 0..200 {
            served(&gateway, "m", "hi").await?;
        }
        let share = second.requests().len();
        assert!((14..=26).contains(&share), "{share} of 200 calls, not 20");
        second.always(Behaviour::Error(500));
        for _ in 0..40 {
            let answer = served(&gateway, "m", "broken").await?;
            assert_eq!(provider(&answer.head).as_deref(), Some("vendor"));
        }
        assert!(!second.requests_mentioning("broken").is_empty());
        Ok(())
    })
}

#[test]
fn streams_are_routed_alike() -> Result<()> {
    run(async {
        let (vendor, second) = (
            StandinModel::start("vendor")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("vendor", &vendor), ("second", &second)]).await?;
        let mut body = chat_request("mapped-long-x", "hi");
        body["stream"] = true.into();
        let answer = gateway.call(&Request::json(CHAT, &body)).await?;
        assert!(
            answer.text().contains("\"model\":\"longer\""),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("x-gateway-model").as_deref(), Some("longer"));
        Ok(())
    })
}

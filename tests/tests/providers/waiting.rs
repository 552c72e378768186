//! `Retry-After`: waited for where it fits, passed on where it does not.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Chat, Reason, assert_openai_error, attempts, message, provider, reason, run,
    standin::{Behaviour, Reply, StandinModel, chat_text},
};

use crate::{chat, served, start, stream};

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - match: { model: ["short-*"] }
        targets: [{ provider: keyed }]
        fallback: { deadline: 3s }
      - match: { model: ["engine-*"] }
        targets: [{ provider: engine, model: m }]
        fallback: { keep_alive: 100ms }
      - match: { model: ["two-*"] }
        targets: [{ provider: keyed }, { provider: engine, model: m }]
      - targets: [{ provider: keyed, model: m }]
        fallback: { keep_alive: 100ms }
providers:
  - { name: keyed, base_url: "$keyed", api_keys: [sk-alone] }
  - { name: engine, base_url: "$engine" }
"#;

fn limited(retry_after: &str) -> Behaviour {
    let error =
        json!({"message": "slow down", "type": "rate_limit_error", "param": null, "code": null});
    let reply = Reply::json(429, &json!({"error": error}));
    Behaviour::Reply(reply.header("Retry-After", retry_after))
}

#[test]
fn a_call_waits_as_long_as_it_was_asked_to() -> Result<()> {
    run(async {
        let (keyed, engine) = (
            StandinModel::start("keyed")?,
            StandinModel::start("engine")?,
        );
        let gateway = start(YAML, &[("keyed", &keyed), ("engine", &engine)]).await?;
        for (vendor, model) in [(&keyed, "plain"), (&engine, "engine-a")] {
            vendor.next(limited("1"));
            let answer = served(&gateway, model, "one").await?;
            assert_eq!(message(&answer.json()), chat_text("m", "one"));
            assert_eq!(attempts(&answer.head).as_deref(), Some("2"));
            reason(&answer.head, Reason::Fallback);
            vendor.next(limited("1"));
            let answer = gateway.call(&stream(model, "two")).await?;
            assert!(
                answer.text().starts_with(':'),
                "comments come first: {}",
                answer.text()
            );
            let chat = Chat::read(&answer.text());
            assert!(chat.done && chat.error.is_none());
            assert_eq!(chat.text(), chat_text("m", "two"));
            assert_eq!(vendor.requests().len(), 4, "{model}");
        }
        Ok(())
    })
}

#[test]
fn calls_that_come_while_the_only_key_cools_wait_without_being_sent() -> Result<()> {
    run(async {
        let (keyed, engine) = (
            StandinModel::start("keyed")?,
            StandinModel::start("engine")?,
        );
        let gateway = start(YAML, &[("keyed", &keyed), ("engine", &engine)]).await?;
        keyed.next(limited("2"));
        // Its own deadline is too short to wait.
        let told = gateway.call(&chat("short-a", "hi")).await?;
        assert!([200, 429].contains(&told.status()), "{}", told.text());
        let answer = served(&gateway, "plain", "later").await?;
        assert_eq!(
            attempts(&answer.head).as_deref(),
            Some("1"),
            "sent once the key had cooled"
        );
        Ok(())
    })
}

#[test]
fn what_does_not_fit_the_deadline_is_told_at_once() -> Result<()> {
    run(async {
        let (keyed, engine) = (
            StandinModel::start("keyed")?,
            StandinModel::start("engine")?,
        );
        let gateway = start(YAML, &[("keyed", &keyed), ("engine", &engine)]).await?;
        keyed.next(limited("600"));
        let answer = gateway.call(&chat("plain", "one")).await?;
        let words = assert_openai_error(&answer, 429);
        assert_eq!(words, "slow down");
        assert_eq!(answer.header("retry-after").as_deref(), Some("600"));
        assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
        for request in [chat("plain", "two"), stream("plain", "two")] {
            let answer = gateway.call(&request).await?;
            assert_openai_error(&answer, 429);
            let seconds = answer
                .header("retry-after")
                .and_then(|text| text.parse().ok());
            assert!(seconds.is_some_and(|seconds: u64| (1..=601).contains(&seconds)));
        }
        assert_eq!(keyed.requests().len(), 1, "a cooling key is not used");
        // With another target nobody waits.
        let answer = served(&gateway, "two-a", "three").await?;
        assert_eq!(provider(&answer.head).as_deref(), Some("engine"));
        assert_eq!(keyed.requests().len(), 1);
        Ok(())
    })
}

#[test]
fn milliseconds_and_dates_are_understood() -> Result<()> {
    run(async {
        let (keyed, engine) = (
            StandinModel::start("keyed")?,
            StandinModel::start("engine")?,
        );
        let gateway = start(YAML, &[("keyed", &keyed), ("engine", &engine)]).await?;
        for headers in [
            vec![("retry-after-ms", "20"), ("Retry-After", "3600")],
            vec![("Retry-After", "Thu, 01 Jan 2026 00:00:00 GMT")],
            vec![("Retry-After", "soon")],
        ] {
            let mut reply = Reply::json(429, &json!({"error": {"message": "slow down"}}));
            for (name, value) in &headers {
                reply = reply.header(name, value);
            }
            engine.next(Behaviour::Reply(reply));
            let answer = served(&gateway, "engine-a", "hi").await?;
            assert_eq!(attempts(&answer.head).as_deref(), Some("2"), "{headers:?}");
        }
        Ok(())
    })
}

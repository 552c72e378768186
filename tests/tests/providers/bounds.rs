//! How often a call is sent, and how long it may take.

use anyhow::Result;
use spillway_tests::{
    Chat, Reason, assert_openai_error, attempts, reason, run,
    standin::{Behaviour, StandinModel},
    until,
};

use crate::{chat, served, start, stream};

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - match: { model: ["three-*"] }
        targets: [{ provider: first }, { provider: second }]
        fallback: { max_attempts: 3, back_off: 10ms }
      - match: { model: ["once-*"] }
        targets: [{ provider: first }, { provider: second }]
        fallback: { max_attempts: 1 }
      - match: { model: ["two-*"] }
        targets: [{ provider: first }, { provider: second }]
      - match: { model: ["hasty-*"] }
        targets: [{ provider: first, timeout: 60s }, { provider: second }]
        fallback: { deadline: 1s, keep_alive: 100ms }
      - match: { model: ["hasty2-*"] }
        targets: [{ provider: first, timeout: 500ms }]
        fallback: { deadline: 1s, max_attempts: 5 }
      - match: { model: ["alone-*"] }
        targets: [{ provider: first }]
        fallback: { back_off: 10ms }
providers:
  - { name: first, base_url: "$first", breaker: { failures: 100, of: 100 } }
  - { name: second, base_url: "$second", breaker: { failures: 100, of: 100 } }
"#;

#[test]
fn a_call_is_sent_so_often_and_no_oftener() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        for vendor in [&first, &second] {
            vendor.always(Behaviour::Error(503));
        }
        for (model, expected) in [
            ("once-a", [1, 0]),
            ("two-a", [1, 1]),
            ("three-a", [2, 1]),
            ("alone-a", [2, 0]),
        ] {
            for (kind, request) in [
                ("one", chat(model, model)),
                ("stream", stream(model, "as-stream")),
            ] {
                let before = [first.requests().len(), second.requests().len()];
                let answer = gateway.call(&request).await?;
                assert_openai_error(&answer, 503);
                let sum = expected.iter().sum::<usize>().to_string();
                assert_eq!(attempts(&answer.head), Some(sum), "{model} {kind}");
                let seen = [
                    first.requests().len() - before[0],
                    second.requests().len() - before[1],
                ];
                assert_eq!(seen, expected, "{model} {kind}");
            }
        }
        Ok(())
    })
}

#[test]
fn what_cannot_pass_is_not_tried_again_on_the_only_way() -> Result<()> {
    run(async {
        let first = StandinModel::start("first")?;
        let second = StandinModel::start("second")?;
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        for (status, expected) in [
            (400, 1),
            (401, 1),
            (403, 1),
            (404, 1),
            (408, 2),
            (429, 2),
            (500, 2),
            (529, 2),
        ] {
            let before = first.requests().len();
            first.always(Behaviour::Error(status));
            let answer = gateway.call(&chat("alone-a", "hi")).await?;
            assert_openai_error(&answer, crate::told(status));
            assert_eq!(first.requests().len() - before, expected, "{status}");
        }
        first.next(Behaviour::Reset);
        first.always(Behaviour::Normal);
        let answer = served(&gateway, "alone-a", "hi").await?;
        assert_eq!(attempts(&answer.head).as_deref(), Some("2"));
        reason(&answer.head, Reason::Fallback);
        Ok(())
    })
}

#[test]
fn the_deadline_ends_everything() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        first.always(Behaviour::Silent);
        let answer = gateway.call(&chat("hasty-a", "hi")).await?;
        assert_openai_error(&answer, 504);
        reason(&answer.head, Reason::UpstreamTimeout);
        first.wait_for_disconnects(1).await?;
        let answer = gateway.call(&stream("hasty-a", "hi")).await?;
        let chat_read = Chat::read(&answer.text());
        assert!(
            chat_read.error.is_some() && !chat_read.done,
            "{}",
            answer.text()
        );
        first.wait_for_disconnects(2).await?;
        assert!(second.requests().is_empty(), "no time was left");
        // A timeout of one's own may not pass: the only way is not taken again.
        let answer = gateway.call(&chat("hasty2-a", "hi")).await?;
        assert_openai_error(&answer, 504);
        until("the refused retries are counted", async || {
            let page = gateway
                .call(&spillway_tests::client::Request::get("/_gateway/metrics"))
                .await?;
            let counted = page.text().contains(
                "spillway_model_retries_refused_total{name=\"llm\",reason=\"deadline\"} 2",
            );
            Ok(counted.then_some(()))
        })
        .await
    })
}

#[test]
fn a_target_that_is_silent_for_the_whole_deadline_is_ejected_in_the_end() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let yaml = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: first }, { provider: second }]
        fallback: { deadline: 300ms }
providers:
  - { name: first, base_url: "$first", breaker: { open_for: 10m } }
  - { name: second, base_url: "$second" }
"#;
        let gateway = start(yaml, &[("first", &first), ("second", &second)]).await?;
        first.always(Behaviour::Silent);
        for _ in 0..10 {
            gateway.call(&chat("m", "hi")).await?;
        }
        served(&gateway, "m", "hi").await?;
        Ok(())
    })
}

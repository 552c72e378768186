//! Kinds of failure on which a call goes on only where they are asked for.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    Chat, Gateway, assert_openai_error, message, provider, run,
    standin::{Behaviour, Event, EventStream, Reply, StandinModel, chat_text},
};

use crate::{chat, start, stream};

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - match: { model: ["long-*"] }
        targets: [{ provider: first }, { provider: second, model: m }]
        fallback: { on: [context_length] }
      - match: { model: ["filtered-*"] }
        targets: [{ provider: first }, { provider: second, model: m }]
        fallback: { on: [content_filter] }
      - match: { model: ["exact-*"] }
        targets: [{ provider: first }, { provider: second, model: m }]
        fallback: { on: ["404", "422"] }
      - match: { model: ["class-*"] }
        targets: [{ provider: first }, { provider: second, model: m }]
        fallback: { on: ["4xx"] }
      - targets: [{ provider: first }, { provider: second, model: m }]
providers:
  - { name: first, base_url: "$first" }
  - { name: second, base_url: "$second" }
"#;

async fn vendors() -> Result<(Gateway, StandinModel, StandinModel)> {
    let (first, second) = (
        StandinModel::start("first")?,
        StandinModel::start("second")?,
    );
    let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
    Ok((gateway, first, second))
}

/// Asserts that the second target serves, streamed and not.
async fn assert_goes_on(gateway: &Gateway, model: &str) -> Result<()> {
    let answer = gateway.call(&chat(model, "hi")).await?;
    assert_eq!(
        message(&answer.json()),
        chat_text("m", "hi"),
        "{model}: {}",
        answer.text()
    );
    assert_eq!(provider(&answer.head).as_deref(), Some("second"));
    let answer = gateway.call(&stream(model, "hi")).await?;
    let chat = Chat::read(&answer.text());
    assert_eq!(
        chat.text(),
        chat_text("m", "hi"),
        "{model}: {}",
        answer.text()
    );
    Ok(())
}

fn error(status: u16, code: &str, words: &str) -> Behaviour {
    let error =
        json!({"message": words, "type": "invalid_request_error", "param": null, "code": code});
    Behaviour::Reply(Reply::json(status, &json!({"error": error})))
}

#[test]
fn a_request_that_is_too_long_goes_to_a_model_that_takes_it() -> Result<()> {
    run(async {
        let (gateway, first, second) = vendors().await?;
        for behaviour in [
            error(400, "context_length_exceeded", "x"),
            error(
                400,
                "",
                "This model's maximum context length is 8192 tokens.",
            ),
            error(413, "", "prompt is too long: 9 > 8"),
        ] {
            first.always(behaviour);
            assert_goes_on(&gateway, "long-a").await?;
            let before = second.requests().len();
            for request in [chat("plain", "hi"), stream("filtered-a", "hi")] {
                let answer = gateway.call(&request).await?;
                assert!([400, 413].contains(&answer.status()), "{}", answer.text());
            }
            assert_eq!(second.requests().len(), before);
        }
        // Another mistake stays the client's.
        first.always(error(400, "invalid_value", "the temperature is too high"));
        assert_openai_error(&gateway.call(&chat("long-a", "hi")).await?, 400);
        assert!(!gateway.log().contains("provider first:"));
        Ok(())
    })
}

#[test]
fn what_the_filter_stopped_goes_to_another_model() -> Result<()> {
    run(async {
        let (gateway, first, _second) = vendors().await?;
        first.always(error(400, "content_filter", "x"));
        assert_goes_on(&gateway, "filtered-a").await?;
        first.always(error(400, "data_inspection_failed", "x"));
        assert_goes_on(&gateway, "filtered-a").await?;
        let choice = json!({"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter"});
        let emptied = Reply::json(
            200,
            &json!({"id": "i", "object": "chat.completion", "choices": [choice]}),
        );
        first.always(Behaviour::Reply(emptied));
        assert_goes_on(&gateway, "filtered-a").await?;
        let answer = gateway.call(&chat("plain", "hi")).await?;
        assert_eq!(
            answer.json()["choices"][0]["finish_reason"],
            "content_filter"
        );
        let chunk = |delta: Value, finish: Option<&str>| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
            Event::data(
                json!({"id": "i", "object": "chat.completion.chunk", "choices": [choice]})
                    .to_string(),
            )
        };
        let events = [
            chunk(json!({"role": "assistant", "content": ""}), None),
            chunk(json!({}), Some("content_filter")),
            Event::data("[DONE]"),
        ];
        let reply = Reply::new(200).header("Content-Type", "text/event-stream");
        first.always(Behaviour::Reply(
            reply.body(EventStream::new().body(&events)),
        ));
        assert_goes_on(&gateway, "filtered-a").await
    })
}

#[test]
fn statuses_go_on_one_by_one_or_by_the_hundred() -> Result<()> {
    run(async {
        let (gateway, first, _second) = vendors().await?;
        for (status, exact, class) in [
            (404, true, true),
            (422, true, true),
            (409, false, true),
            (400, false, true),
            (500, false, false),
        ] {
            first.always(Behaviour::Error(status));
            for (model, goes_on) in [("exact-a", exact), ("class-a", class)] {
                if goes_on {
                    assert_goes_on(&gateway, model).await?;
                } else {
                    assert_openai_error(&gateway.call(&chat(model, "hi")).await?, status);
                }
            }
        }
        Ok(())
    })
}

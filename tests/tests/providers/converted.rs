//! Providers that stream unasked, or do not stream when asked.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Chat, Reason, attempts, message, reason, run,
    standin::{Behaviour, Event, EventStream, LineEnd, Reply, StandinModel, chat_text},
};

use crate::{chat, served, start, stream};

const YAML: &str = r#"
models:
  - name: llm
    routes: [{ targets: [{ provider: first, model: m }, { provider: second, model: n }] }]
providers:
  - { name: first, base_url: "$first" }
  - { name: second, base_url: "$second" }
"#;

fn chunk(delta: serde_json::Value, finish: Option<&str>) -> Event {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    let chunk = json!({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
    Event::data(chunk.to_string())
}

fn events(reply: Reply, shape: &EventStream, events: &[Event]) -> Behaviour {
    Behaviour::Reply(reply.body(shape.body(events)).chunked(50))
}

/// A text, a tool call in pieces, and the usage.
fn whole() -> Vec<Event> {
    let call = |arguments: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
    let begins = json!({"tool_calls": [{"index": 0, "id": "call-7", "type": "function", "function": {"name": "weather", "arguments": ""}}]});
    let usage = json!({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}});
    vec![
        chunk(json!({"role": "assistant", "content": ""}), None),
        chunk(json!({"content": "grüße "}), None),
        chunk(json!({"content": "你好"}), None),
        chunk(begins, None),
        chunk(call("{\"city\":"), None),
        chunk(call("\"Bern\"}"), None),
        chunk(json!({}), Some("tool_calls")),
        Event::data(usage.to_string()),
        Event::data("[DONE]"),
    ]
}

#[test]
fn a_stream_that_nobody_asked_for_becomes_one_document() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        let typed = || Reply::new(200).header("Content-Type", "text/event-stream");
        let odd = || EventStream::new().line_end(LineEnd::CrLf).comment_blocks();
        let json = Reply::new(200).header("Content-Type", "application/json");
        for (reply, shapes) in [
            (typed(), vec![EventStream::new(), odd()]),
            (Reply::new(200), vec![EventStream::new()]),
            (json, vec![EventStream::new()]),
        ] {
            for shape in shapes {
                first.next(events(reply.clone(), &shape, &whole()));
                let answer = served(&gateway, "any", "hi").await?;
                let content_type = answer.header("content-type");
                assert_eq!(content_type.as_deref(), Some("application/json"));
                let document = answer.json();
                assert_eq!(document["object"], "chat.completion", "{document}");
                assert_eq!(message(&document), "grüße 你好");
                let call = &document["choices"][0]["message"]["tool_calls"][0];
                assert_eq!(call["id"], "call-7", "{document}");
                assert_eq!(call["function"]["name"], "weather");
                assert_eq!(call["function"]["arguments"], "{\"city\":\"Bern\"}");
                assert_eq!(document["choices"][0]["finish_reason"], "tool_calls");
                assert_eq!(document["usage"]["total_tokens"], 7);
                assert_eq!(document["id"], "c-1");
                reason(&answer.head, Reason::Ok);
            }
        }
        Ok(())
    })
}

#[test]
fn such_a_stream_that_fails_goes_on() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        let typed = || Reply::new(200).header("Content-Type", "text/event-stream");
        let plain = EventStream::new();
        let half: Vec<Event> = whole().into_iter().take(3).collect();
        let mut error = half.clone();
        error.push(Event::data(
            json!({"error": {"message": "stopped"}}).to_string(),
        ));
        for (what, failing) in [
            ("cut short", half),
            ("an error in the middle", error),
            ("nothing", Vec::new()),
        ] {
            first.next(events(typed(), &plain, &failing));
            let answer = served(&gateway, "any", "hi").await?;
            assert_eq!(message(&answer.json()), chat_text("n", "hi"), "{what}");
            assert_eq!(attempts(&answer.head).as_deref(), Some("2"), "{what}");
        }
        Ok(())
    })
}

#[test]
fn a_document_where_a_stream_was_asked_for_becomes_one() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        first.always(Behaviour::Unstreamed);
        let answer = gateway.call(&stream("any", "hi")).await?;
        let chat_read = Chat::read(&answer.text());
        assert_eq!(chat_read.text(), chat_text("m", "hi"));
        assert!(chat_read.done && chat_read.error.is_none());
        assert_eq!(chat_read.finish_reason(), Some("stop"));
        let plain = gateway.call(&chat("any", "hi")).await?;
        assert_eq!(message(&plain.json()), chat_text("m", "hi"));
        // The error of a 200 is a failure, streamed or not.
        let failing = Reply::json(200, &json!({"error": {"message": "busy"}}));
        first.always(Behaviour::Reply(failing));
        let answer = gateway.call(&stream("any", "hi")).await?;
        assert_eq!(Chat::read(&answer.text()).text(), chat_text("n", "hi"));
        Ok(())
    })
}

//! Whatever a vendor's stream looks like, the client's keeps the contract.

use anyhow::{Context, Result};
use serde_json::json;
use spillway_tests::{
    Chat,
    client::{End, Request},
    mark, message, oddities, run,
    standin::{Behaviour, EventStream, Gate, chat_text},
    stream_request,
};

use crate::Models;

#[test]
fn every_oddity_comes_out_as_a_plain_stream() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for oddity in oddities() {
            let mark = mark();
            models.first.when(&mark, Behaviour::Stream(oddity.shape));
            let mut request = stream_request("both-a", &mark);
            request["stream_options"] = json!({"include_usage": true});
            let answer = models.post("/v1/chat/completions", &request).await?;
            assert_eq!(answer.status(), 200, "{}: {}", oddity.name, answer.text());
            let chat = Chat::read(&answer.text());
            assert_eq!(
                chat.text(),
                chat_text("first-model", &mark),
                "{}",
                oddity.name
            );
            assert_eq!(chat.finish_reason(), Some("stop"), "{}", oddity.name);
            assert!(
                chat.done && chat.error.is_none(),
                "{}: {}",
                oddity.name,
                answer.text()
            );
            assert_eq!(answer.end, End::Clean, "{}", oddity.name);
            let retried = models.second.requests_mentioning(&mark);
            assert!(
                retried.is_empty(),
                "{} is no failure, but was tried again",
                oddity.name
            );
        }
        Ok(())
    })
}

#[test]
fn an_event_of_1_mib_comes_whole() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        models.first.when(
            &mark,
            Behaviour::Stream(EventStream::new().huge(1024 * 1024)),
        );
        let (_, chat) = models.stream("gpt-4o", &mark).await?;
        assert!(
            chat.text().ends_with(&"x".repeat(1024 * 1024)),
            "{} bytes came",
            chat.text().len()
        );
        Ok(())
    })
}

#[test]
fn each_chunk_comes_before_the_next_one_is_written() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let (mark, gate) = (mark(), Gate::new());
        models
            .first
            .when(&mark, Behaviour::Stream(EventStream::new().gated(&gate)));
        let request = Request::json("/llm/v1/chat/completions", &stream_request("gpt-4o", &mark));
        // The head may wait for the first content, which is the second chunk.
        gate.release();
        gate.release();
        let mut incoming = models.gateway.begin(&request).await?;
        let role = incoming.next_block().await?.context("no first chunk")?;
        assert!(role.contains("\"role\":\"assistant\""), "{role}");
        let mut contents = 0;
        while let Some(block) = incoming.next_block().await? {
            assert!(block.starts_with("data: "), "{block:?}");
            contents += 1;
            // What follows the finish reason may be withheld, or come together.
            if block.contains("\"finish_reason\":\"stop\"") {
                gate.open();
            }
            gate.release();
        }
        assert!(contents > 5, "{contents} chunks");
        Ok(())
    })
}

#[test]
fn a_whole_answer_to_a_request_for_a_stream_reaches_the_client() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        models.first.when(&mark, Behaviour::Unstreamed);
        let answer = models
            .post("/v1/chat/completions", &stream_request("gpt-4o", &mark))
            .await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let content_type = answer.header("content-type").unwrap_or_default();
        let text = if content_type.starts_with("text/event-stream") {
            Chat::read(&answer.text()).text()
        } else {
            assert_eq!(content_type, "application/json");
            message(&answer.json()).to_owned()
        };
        assert_eq!(text, chat_text("first-large", &mark));
        Ok(())
    })
}

#[test]
fn many_streams_run_at_once_and_none_waits_for_another() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mut streams = Vec::new();
        for _ in 0..40 {
            let (mark, gate) = (mark(), Gate::new());
            models
                .first
                .when(&mark, Behaviour::Stream(EventStream::new().gated(&gate)));
            (0..3).for_each(|_| gate.release());
            let request =
                Request::json("/llm/v1/chat/completions", &stream_request("gpt-4o", &mark));
            let mut incoming = models.gateway.begin(&request).await?;
            assert!(incoming.next_block().await?.is_some());
            streams.push((incoming, gate, mark));
        }
        let (_, other) = models.stream("own-a", "hi").await?;
        assert!(other.done);
        streams.iter().for_each(|(_, gate, _)| gate.open());
        for (incoming, _, mark) in streams {
            let answer = incoming.finish().await?;
            assert_eq!(
                Chat::read(&answer.text()).text(),
                chat_text("first-large", &mark)
            );
        }
        Ok(())
    })
}

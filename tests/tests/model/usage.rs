//! Usage in streams: always asked for, given to whoever asked.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    Chat, mark, run,
    standin::{Behaviour, EventStream, UsagePlacement, chat_text, usage},
    stream_request,
};

use crate::Models;

#[test]
fn usage_is_always_asked_for_upstream() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for options in [
            Value::Null,
            json!({}),
            json!({"include_usage": false}),
            json!({"include_usage": true}),
            json!({"include_obfuscation": false}),
        ] {
            let mark = mark();
            let mut request = stream_request("gpt-4o", &mark);
            if !options.is_null() {
                request["stream_options"] = options.clone();
            }
            let answer = models.post("/v1/chat/completions", &request).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let sent = models.first.wait_for_request(&mark).await?.json();
            assert_eq!(
                sent["stream_options"]["include_usage"], true,
                "asked with {options}: {sent}"
            );
            let other = options.get("include_obfuscation");
            assert_eq!(
                sent["stream_options"].get("include_obfuscation"),
                other,
                "other options stay"
            );
        }
        Ok(())
    })
}

#[test]
fn a_client_that_did_not_ask_gets_no_usage_chunk() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for options in [Value::Null, json!({}), json!({"include_usage": false})] {
            let mark = mark();
            let mut request = stream_request("gpt-4o", &mark);
            if !options.is_null() {
                request["stream_options"] = options.clone();
            }
            let answer = models.post("/v1/chat/completions", &request).await?;
            let chat = Chat::read(&answer.text());
            assert_eq!(chat.text(), chat_text("first-large", &mark));
            assert!(
                chat.usage_chunks().is_empty(),
                "asked with {options}: {}",
                answer.text()
            );
            let told = |chunk: &Value| chunk.get("usage").is_some_and(Value::is_object);
            assert!(
                !chat.chunks.iter().any(told),
                "usage was told: {}",
                answer.text()
            );
            assert!(chat.done);
        }
        Ok(())
    })
}

#[test]
fn a_client_that_asked_gets_one_last_chunk_without_choices() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for placement in [
            UsagePlacement::AsAsked,
            UsagePlacement::WithoutChoices,
            UsagePlacement::WithFinish,
        ] {
            let mark = mark();
            models.first.when(
                &mark,
                Behaviour::Stream(EventStream::new().usage(placement)),
            );
            let mut request = stream_request("gpt-4o", &mark);
            request["stream_options"] = json!({"include_usage": true});
            let answer = models.post("/v1/chat/completions", &request).await?;
            let chat = Chat::read(&answer.text());
            let chunks = chat.usage_chunks();
            assert_eq!(chunks.len(), 1, "{placement:?}: {}", answer.text());
            let mut sent = request.clone();
            sent["model"] = json!("first-large");
            let expected = usage(&sent);
            let told = &chunks[0]["usage"];
            assert_eq!(
                told["prompt_tokens"], expected.prompt_tokens,
                "{placement:?}"
            );
            assert_eq!(
                told["completion_tokens"], expected.completion_tokens,
                "{placement:?}"
            );
            assert_eq!(
                told["total_tokens"],
                expected.total_tokens(),
                "{placement:?}"
            );
            assert_eq!(
                chat.chunks.last(),
                Some(chunks[0]),
                "{placement:?}: it is the last chunk"
            );
            assert_eq!(chat.finish_reason(), Some("stop"), "{placement:?}");
            assert_eq!(chat.text(), chat_text("first-large", &mark));
        }
        Ok(())
    })
}

#[test]
fn a_vendor_that_tells_no_usage_is_no_failure() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        models.first.when(
            &mark,
            Behaviour::Stream(EventStream::new().usage(UsagePlacement::Never)),
        );
        let mut request = stream_request("gpt-4o", &mark);
        request["stream_options"] = json!({"include_usage": true});
        let chat = Chat::read(&models.post("/v1/chat/completions", &request).await?.text());
        assert!(chat.done && chat.error.is_none());
        assert_eq!(chat.text(), chat_text("first-large", &mark));
        Ok(())
    })
}

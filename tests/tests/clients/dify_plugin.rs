//! The base classes of Dify's plugin SDK, which read a stream in a way of their own.

use anyhow::{Context, Result};
use serde_json::json;
use spillway_tests::{
    chat_request, oddities, run,
    standin::{Behaviour, Break, EventStream, chat_text, usage},
};

use crate::Service;

#[test]
fn difys_sdk_gets_along_whatever_the_vendors_stream_looks_like() -> Result<()> {
    run(async {
        let service = Service::start().await?;
        let mut texts = Vec::new();
        for (number, oddity) in oddities().into_iter().enumerate() {
            let text = format!("stream-{number:03}: {}", oddity.name);
            service.vendor.when(&text, Behaviour::Stream(oddity.shape));
            texts.push(text);
        }
        let result = service
            .call("dify_calls.py", &[json!(texts).to_string()])
            .await?;
        for text in &texts {
            let stream = &result["streams"][text];
            assert_eq!(stream.get("error"), None, "{text}: {stream}");
            assert_eq!(
                stream["unreadable"], false,
                "{text}: the SDK could not read the stream"
            );
            assert_eq!(
                stream["text"],
                chat_text("gpt-4o", text),
                "{text}: {stream}"
            );
            assert_ne!(stream["finish_reason"], "Non-JSON encountered.", "{text}");
            if !text.contains("no usage at all") {
                let counted = usage(&chat_request("gpt-4o", text));
                assert_eq!(
                    stream["prompt_tokens"], counted.prompt_tokens,
                    "{text}: {stream}"
                );
                assert_eq!(
                    stream["completion_tokens"], counted.completion_tokens,
                    "{text}: {stream}"
                );
            }
        }
        Ok(())
    })
}

#[test]
fn difys_sdk_validates_chats_and_embeds() -> Result<()> {
    run(async {
        let service = Service::start().await?;
        let result = service.call("dify_calls.py", &["[]".to_owned()]).await?;
        assert_eq!(result["valid"], "valid");
        assert_eq!(result["valid streamed"], "valid");
        let refused = result["valid with a wrong key"]
            .as_str()
            .context("no answer")?;
        assert!(
            refused.contains("401"),
            "a wrong key is no valid credential: {refused}"
        );
        let counted = usage(&chat_request("gpt-4o", "hello"));
        assert_eq!(result["blocking"]["text"], chat_text("gpt-4o", "hello"));
        assert_eq!(result["blocking"]["prompt_tokens"], counted.prompt_tokens);
        assert_eq!(
            result["blocking"]["completion_tokens"],
            counted.completion_tokens
        );
        assert_eq!(
            result["without usage"]["text"],
            chat_text("gpt-4o", "hello")
        );
        assert_eq!(result["without usage"]["unreadable"], false);
        assert_eq!(
            result["vectors"].as_array().map(Vec::len),
            Some(2),
            "{result}"
        );
        assert_eq!(result["embedding_tokens"], 2);
        Ok(())
    })
}

#[test]
fn difys_sdk_shows_failures_to_the_user() -> Result<()> {
    run(async {
        let service = Service::start().await?;
        let new = EventStream::new;
        let texts = [
            "please err",
            "please break off",
            "please stop early",
            "please refuse",
        ];
        service
            .vendor
            .when(texts[0], Behaviour::Stream(new().error_after(4)));
        service.vendor.when(
            texts[1],
            Behaviour::Stream(new().cut_after(4, Break::Reset)),
        );
        service.vendor.when(
            texts[2],
            Behaviour::Stream(new().cut_after(4, Break::Clean)),
        );
        service.vendor.when(texts[3], Behaviour::Error(429));
        let result = service
            .call("dify_calls.py", &[json!(texts).to_string()])
            .await?;
        for text in texts {
            let error = result["streams"][text]["error"].as_str();
            assert!(error.is_some(), "{text} looks complete to Dify: {result}");
        }
        let refused = result["streams"]["please refuse"]["error"]
            .as_str()
            .unwrap_or_default();
        assert!(
            refused.contains("Too many requests at the stand-in."),
            "the vendor's words: {refused}"
        );
        let wrong = result["with a wrong key"]["error"]
            .as_str()
            .unwrap_or_default();
        assert!(wrong.contains("401") && !wrong.contains("sk-"), "{wrong}");
        Ok(())
    })
}

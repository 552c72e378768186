//! What a provider gets: the client's request, but for what the gateway has to change.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    chat_request,
    client::{Body, Request},
    mark, run,
};

use crate::{FIRST_KEY, Models};

#[test]
fn messages_go_on_byte_for_byte_and_unknown_fields_stay() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        // The marks of JSON that nobody has written: odd blanks, escapes, numbers that no float holds, order.
        let first = r#"[ {"role":"user",	"content":"MARK caf\u00e9 \/ \ud83c\udf0d 你好","zeta":1.0,"alpha":"#;
        let second = "12345678901234567890,\"exp\":1e3},\n{ } ]";
        let messages = format!("{first}{second}").replace("MARK", &mark);
        let rest = r#""temperature":0.10,"x_unknown":{"b":[1, 2],"a":null},"user":"u-1","thinking":{"type":"x"}"#;
        let body = format!("{{\"messages\" : {messages} , \"model\":\"gpt-4o\",{rest}}}");
        let request = Request::post("/llm/v1/chat/completions", "application/json", body.clone());
        assert_eq!(models.gateway.call(&request).await?.status(), 200);
        let seen = models.first.wait_for_request(&mark).await?;
        assert!(
            seen.text().contains(&messages),
            "the messages were rewritten: {}",
            seen.text()
        );
        assert_eq!(
            seen.header("content-length"),
            Some(seen.body_length.to_string())
        );
        let mut expected: Value = serde_json::from_str(&body)?;
        expected["model"] = json!("first-large");
        assert_eq!(seen.json(), expected);
        Ok(())
    })
}

#[test]
fn the_model_is_mapped_or_left_as_asked() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for (asked, sent) in [
            ("gpt-4o", "first-large"),
            ("own-model", "own-model"),
            ("own-", "own-"),
        ] {
            let mark = mark();
            models
                .post("/v1/chat/completions", &chat_request(asked, &mark))
                .await?;
            assert_eq!(
                models.first.wait_for_request(&mark).await?.json()["model"],
                sent
            );
        }
        Ok(())
    })
}

#[test]
fn a_request_with_two_models_cannot_fool_anybody() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"MARK"}],"model":"secret-model"}"#;
        let body = body.replace("MARK", &mark);
        let answer = models
            .gateway
            .call(&Request::post(
                "/llm/v1/chat/completions",
                "application/json",
                body,
            ))
            .await?;
        for seen in models.first.requests_mentioning(&mark) {
            assert!(
                !seen.text().contains("secret-model"),
                "the second model went on: {}",
                seen.text()
            );
        }
        assert!(
            matches!(answer.status(), 200 | 400 | 404),
            "{}",
            answer.text()
        );
        Ok(())
    })
}

#[test]
fn the_providers_key_goes_on_and_nothing_of_the_clients() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        let request = Request::json("/llm/v1/chat/completions", &chat_request("gpt-4o", &mark))
            .header("Authorization", "Bearer sk-of-the-client")
            .header("X-Api-Key", "sk-of-the-client")
            .header("api-key", "sk-of-the-client")
            .header("Cookie", "session=of-the-client")
            .header("X-Forwarded-For", "203.0.113.7")
            .header("spin-client-addr", "203.0.113.8");
        assert_eq!(models.gateway.call(&request).await?.status(), 200);
        let seen = models.first.wait_for_request(&mark).await?;
        assert_eq!(
            seen.header_values("authorization"),
            [format!("Bearer {FIRST_KEY}")]
        );
        let all = format!("{:?}", seen.headers);
        for secret in ["of-the-client", "203.0.113."] {
            assert!(
                !all.contains(secret),
                "{secret} went to the provider: {all}"
            );
        }
        let spin = seen
            .headers
            .iter()
            .filter(|(name, _)| name.to_ascii_lowercase().starts_with("spin-"));
        assert_eq!(spin.count(), 0, "{all}");
        Ok(())
    })
}

#[test]
fn no_packed_answer_is_asked_for() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        let request = Request::json("/llm/v1/chat/completions", &chat_request("gpt-4o", &mark))
            .header("Accept-Encoding", "gzip, deflate");
        models.gateway.call(&request).await?;
        let encoding = models
            .first
            .wait_for_request(&mark)
            .await?
            .header("accept-encoding");
        let readable = encoding
            .as_deref()
            .is_none_or(|encoding| encoding == "identity");
        assert!(
            readable,
            "the gateway has to read the answer, but asked for {encoding:?}"
        );
        Ok(())
    })
}

#[test]
fn a_large_request_goes_on_whole() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        let image = "A".repeat(5 * 1024 * 1024);
        let parts = json!([{"type": "text", "text": mark}, {"type": "image_url", "image_url": {"url": image}}]);
        let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]});
        let answer = models.post("/v1/chat/completions", &body).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let seen = models.first.wait_for_request(&mark).await?;
        assert_eq!(seen.json()["messages"], body["messages"]);
        Ok(())
    })
}

#[test]
fn a_chunked_request_is_taken() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        let body = chat_request("gpt-4o", &mark).to_string();
        let parts = body
            .as_bytes()
            .chunks(10)
            .map(bytes::Bytes::copy_from_slice)
            .collect();
        let request = Request::new("POST", "/llm/v1/chat/completions")
            .header("Content-Type", "application/json")
            .body(Body::Chunked(parts));
        assert_eq!(models.gateway.call(&request).await?.status(), 200);
        let mut expected: Value = serde_json::from_str(&body)?;
        expected["model"] = json!("first-large");
        assert_eq!(models.first.wait_for_request(&mark).await?.json(), expected);
        Ok(())
    })
}

#[test]
fn a_call_that_is_not_streamed_gets_no_stream_options() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        models
            .post("/v1/chat/completions", &chat_request("gpt-4o", &mark))
            .await?;
        let seen = models.first.wait_for_request(&mark).await?.json();
        assert_eq!(
            seen.get("stream_options"),
            None,
            "vendors refuse stream_options without stream: {seen}"
        );
        Ok(())
    })
}

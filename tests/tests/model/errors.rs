//! Requests that cannot be served, told in OpenAI's form.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    Reason, assert_openai_error, chat_request,
    client::{Body, Request},
    mark, reason, run,
};

use crate::Models;

fn post(body: impl Into<bytes::Bytes>) -> Request {
    Request::post("/llm/v1/chat/completions", "application/json", body)
}

#[test]
fn json_that_is_none_is_a_400_that_says_where() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for body in [
            "{\"model\": \"gpt-4o\",\n \"messages\": [}",
            "{\"model\": \"gpt-4o\"",
            "{\"model\": \"gpt-4o\"} trailing",
            "{'model': 'gpt-4o'}",
            "{\"model\": \"gpt-4o\", \"messages\": [\"\\ud800\"], \"x\": \"\u{1}\"}",
            "not json",
        ] {
            let answer = models.gateway.call(&post(body)).await?;
            let message = assert_openai_error(&answer, 400);
            let positioned = ["line", "column", "position", "byte", "offset"]
                .iter()
                .any(|word| message.contains(word));
            let numbered = message.chars().any(|letter| letter.is_ascii_digit());
            assert!(
                positioned && numbered,
                "no position in {message:?} about {body:?}"
            );
            reason(&answer.head, Reason::InvalidRequest);
        }
        Ok(())
    })
}

#[test]
fn a_body_that_asks_for_nothing_is_a_400() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for body in [
            "",
            "null",
            "[]",
            "5",
            "\"gpt-4o\"",
            "{}",
            "{\"model\": 5}",
            "{\"model\": null}",
            "{\"model\": \"\"}",
        ] {
            let answer = models.gateway.call(&post(body)).await?;
            assert_openai_error(&answer, 400);
            reason(&answer.head, Reason::InvalidRequest);
        }
        let without = Request::new("POST", "/llm/v1/chat/completions")
            .header("Content-Type", "application/json");
        assert_openai_error(&models.gateway.call(&without).await?, 400);
        Ok(())
    })
}

#[test]
fn bytes_that_are_no_utf8_and_endless_nesting_are_400s() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let nested = format!(
            "{{\"model\":\"gpt-4o\",\"messages\":{}",
            "[".repeat(200_000)
        );
        let closed = format!(
            "{{\"model\":\"gpt-4o\",\"messages\":{}{}}}",
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        for body in [
            nested.into_bytes(),
            vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}'],
        ] {
            assert_openai_error(&models.gateway.call(&post(body)).await?, 400);
        }
        let deep = models.gateway.call(&post(closed)).await?;
        assert!(
            deep.status() < 500,
            "deep nesting: {} {}",
            deep.status(),
            deep.text()
        );
        assert_eq!(
            models
                .post("/v1/chat/completions", &chat_request("gpt-4o", "hi"))
                .await?
                .status(),
            200
        );
        Ok(())
    })
}

#[test]
fn a_body_that_is_too_large_is_a_413() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        let text = chat_request("m", &format!("{mark}{}", "a".repeat(5000))).to_string();
        let target = "/llm/small/v1/chat/completions";
        let parts = text
            .as_bytes()
            .chunks(100)
            .map(bytes::Bytes::copy_from_slice)
            .collect();
        for body in [Body::Length(text.clone().into()), Body::Chunked(parts)] {
            let request = Request::new("POST", target)
                .header("Content-Type", "application/json")
                .body(body);
            let answer = models.gateway.call(&request).await?;
            let message = assert_openai_error(&answer, 413);
            assert!(
                message.contains("1024") || message.contains("KiB"),
                "the limit is named, not {message:?}"
            );
            reason(&answer.head, Reason::TooLarge);
        }
        assert!(
            models.first.requests_mentioning(&mark).is_empty(),
            "a refused call was sent on"
        );
        let small = Request::json(target, &chat_request("m", "hi"));
        assert_eq!(models.gateway.call(&small).await?.status(), 200);
        Ok(())
    })
}

#[test]
fn an_unknown_model_is_a_404_that_names_near_ones() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for stream in [false, true] {
            let mut body = chat_request("gpt-4p", "hi");
            body["stream"] = Value::from(stream);
            let answer = models.post("/v1/chat/completions", &body).await?;
            let message = assert_openai_error(&answer, 404);
            assert!(
                message.contains("gpt-4p") && message.contains("gpt-4o"),
                "{message:?} names neither"
            );
            reason(&answer.head, Reason::NotFound);
        }
        Ok(())
    })
}

#[test]
fn unknown_paths_are_404s_and_wrong_methods_405s() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for path in [
            "/llm",
            "/llm/",
            "/llm/v1",
            "/llm/v1/nothing",
            "/llm/v2/chat/completions",
            "/llm/v1/chat/completions/x",
            "/llm/v1//chat/completions",
            "/llm/v1/Chat/Completions",
        ] {
            let answer = models
                .gateway
                .call(&Request::json(path, &chat_request("gpt-4o", "hi")))
                .await?;
            assert_openai_error(&answer, 404);
            reason(&answer.head, Reason::NotFound);
        }
        for (method, path, allowed) in [
            ("GET", "/llm/v1/chat/completions", "POST"),
            ("PUT", "/llm/completions", "POST"),
            ("DELETE", "/llm/v1/embeddings", "POST"),
            ("POST", "/llm/v1/models", "GET"),
        ] {
            let answer = models.gateway.call(&Request::new(method, path)).await?;
            assert_openai_error(&answer, 405);
            reason(&answer.head, Reason::MethodNotAllowed);
            let allow = answer.header("allow").unwrap_or_default();
            assert!(
                allow.contains(allowed),
                "Allow: {allow:?} for {method} {path}"
            );
        }
        Ok(())
    })
}

#[test]
fn the_vendors_error_body_goes_through() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        let body = json!({"error": {"message": "Invalid 'max_output_tokens': integer_below_min_value",
            "type": "invalid_request_error", "param": "max_output_tokens", "code": "integer_below_min_value"}});
        let reply = spillway_tests::standin::Reply::json(400, &body);
        models
            .first
            .when(&mark, spillway_tests::standin::Behaviour::Reply(reply));
        for stream in [false, true] {
            let mut request = chat_request("both-a", &mark);
            request["stream"] = Value::from(stream);
            let answer = models.post("/v1/chat/completions", &request).await?;
            assert_eq!((answer.status(), answer.json()), (400, body.clone()));
        }
        Ok(())
    })
}

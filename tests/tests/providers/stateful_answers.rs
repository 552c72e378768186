//! Files and responses: what comes back is the provider's, to the byte.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    assert_openai_error,
    client::{End, Request},
    run,
    standin::{Behaviour, Reply, Step},
    until,
};

use crate::stateful::Kept;

#[test]
fn ranges_types_and_bytes_of_an_answer_are_the_providers() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        let part = Reply::new(206)
            .header("Content-Type", "application/jsonl; charset=x")
            .header("Content-Range", "bytes 2-5/100")
            .header("Accept-Ranges", "bytes")
            .header("ETag", "\"e-1\"")
            .header("Content-Disposition", "attachment; filename=\"out.jsonl\"")
            .header("Set-Cookie", "provider=1")
            .header("x-gateway-provider", "forged")
            .body(&b"\x00\xff\r\n"[..]);
        kept.first.always(Behaviour::Reply(part));
        let request = Request::get("/llm/v1/files/f-1/content").header("Range", "bytes=2-5");
        let answer = kept.call(request, "sk-ann").await?;
        assert_eq!(
            (answer.status(), &answer.body[..]),
            (206, &b"\x00\xff\r\n"[..])
        );
        for (name, value) in [
            ("content-type", "application/jsonl; charset=x"),
            ("content-range", "bytes 2-5/100"),
            ("accept-ranges", "bytes"),
            ("etag", "\"e-1\""),
            ("content-disposition", "attachment; filename=\"out.jsonl\""),
            ("x-gateway-provider", "first"),
        ] {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(answer.header("set-cookie"), None);
        let seen = kept.first.requests().pop();
        assert_eq!(
            seen.and_then(|seen| seen.header("range")).as_deref(),
            Some("bytes=2-5")
        );
        Ok(())
    })
}

/// On Spin 4.1 each of these was an empty 500.
#[test]
fn what_a_provider_says_of_its_connection_stays_behind() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        for (name, value) in [
            ("Connection", "keep-alive"),
            ("Connection", "close"),
            ("Keep-Alive", "timeout=5"),
            ("Upgrade", "h2c"),
            ("Transfer-Encoding", "chunked"),
        ] {
            let reply = Reply::new(200).body("bytes");
            let reply = if name == "Transfer-Encoding" {
                reply.chunked(2)
            } else {
                reply.header(name, value)
            };
            kept.first.always(Behaviour::Reply(reply));
            let request = Request::get("/llm/v1/files/f-1/content");
            let answer = kept.call(request, "sk-ann").await?;
            assert_eq!(
                (answer.status(), answer.text().as_ref()),
                (200, "bytes"),
                "{name}"
            );
            assert_eq!(answer.header("upgrade"), None);
            assert_eq!(answer.header("keep-alive"), None);
        }
        Ok(())
    })
}

#[test]
fn a_redirect_is_an_error_that_shows_no_address() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        let elsewhere = Reply::new(302).header("Location", "http://10.1.2.3:8000/secret");
        kept.first.always(Behaviour::Reply(elsewhere));
        let answer = kept
            .call(Request::get("/llm/v1/files/f-1"), "sk-ann")
            .await?;
        assert_openai_error(&answer, 502);
        assert_eq!(answer.header("location"), None);
        assert!(!answer.text().contains("10.1.2.3"), "{}", answer.text());
        Ok(())
    })
}

/// TRACE above all: an answer to it is the request, with the provider's key.
#[test]
fn methods_that_no_file_needs_do_not_reach_a_provider() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        for method in ["TRACE", "OPTIONS", "FOO"] {
            let answer = kept
                .call(Request::new(method, "/llm/v1/files"), "sk-ann")
                .await?;
            assert_openai_error(&answer, 405);
            assert!(answer.header("allow").is_some());
        }
        assert!(kept.first.requests().is_empty());
        Ok(())
    })
}

#[test]
fn a_response_names_its_model_and_may_be_streamed() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        let events = "event: response.created\ndata: {\"type\":\"response.created\"}\n\nevent: response.completed\ndata: {}\n\n";
        let reply = Reply::new(200).header("Content-Type", "text/event-stream");
        kept.first
            .always(Behaviour::Reply(reply.body(events).chunked(20)));
        let body = json!({"model": "gpt-4o", "input": "hi", "stream": true});
        let request = Request::json("/llm/v1/responses", &body);
        let answer = kept.call(request.clone(), "sk-ann").await?;
        assert_eq!(answer.text(), events);
        let content_type = answer.header("content-type").unwrap_or_default();
        assert!(
            content_type.starts_with("text/event-stream"),
            "{content_type}"
        );
        let seen = kept.first.wait_for_request("hi").await?.json();
        assert_eq!(seen["model"], "first-model");
        assert_eq!(seen["store"], true);
        assert_eq!(seen.get("stream_options"), None, "{seen}");
        // A model that is not for this caller stays so here.
        assert_openai_error(&kept.call(request, "sk-eve").await?, 403);
        let malformed = Request::post("/llm/v1/responses", "application/json", "{\"model\": ");
        let message = assert_openai_error(&kept.call(malformed, "sk-ann").await?, 400);
        assert!(message.contains("line 1 column"), "{message}");
        Ok(())
    })
}

#[test]
fn an_answer_that_breaks_off_looks_broken() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let part = "12\r\ndata: {\"a\": 1}\n\n\r\n";
        for last in [Step::Reset, Step::Close] {
            kept.first.always(Behaviour::Raw(vec![
                Step::text(head),
                Step::text(part),
                last.clone(),
            ]));
            let request = Request::json(
                "/llm/v1/responses",
                &json!({"model": "gpt-4o", "input": "hi", "stream": true}),
            );
            let answer = kept.call(request, "sk-ann").await?;
            let told = answer.text().contains("\"error\"");
            assert!(
                answer.end != End::Clean || told,
                "{last:?} looks like an end: {}",
                answer.text()
            );
        }
        Ok(())
    })
}

#[test]
fn a_call_is_logged_with_its_attempt() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        let request = Request::get("/llm/v1/files").header("x-request-id", "files-1");
        let answer = kept.call(request, "sk-ann").await?;
        assert_eq!(answer.status(), 200);
        let line = until("the call's line", async || {
            let log = kept.gateway.log();
            let line = log.lines().find(|line| line.contains("request=files-1 "));
            Ok(line.map(str::to_owned))
        })
        .await?;
        for part in [
            "call api=llm",
            "status=200",
            "consumer=ann",
            "attempts=[first/",
            "outcome=ok",
        ] {
            assert!(line.contains(part), "no {part:?} in {line}");
        }
        Ok(())
    })
}

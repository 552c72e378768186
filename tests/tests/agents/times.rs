//! How long a service may take, by what was asked of it.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    assert_dify_error,
    client::{End, Request},
    run,
    standin::{Behaviour, Break, EventStream, Gate, Step},
};

use crate::Published;

fn streaming_run() -> Request {
    let body = json!({"inputs": {}, "query": "q", "response_mode": "streaming", "user": "u"});
    Request::json("/v1/chat-messages", &body).bearer("app-1")
}

#[test]
fn a_run_may_take_longer_than_anything_else() -> Result<()> {
    run(async {
        let published =
            Published::start("", "timeouts: { first_byte: 200ms, run_first_byte: 60s }").await?;
        published.dify.api.next(Behaviour::Silent);
        let answer = published
            .call(&Request::get("/v1/info").bearer("app-1"))
            .await?;
        assert_dify_error(&answer, 504);
        let gate = Gate::new();
        published
            .dify
            .api
            .next(Behaviour::held(&gate, Behaviour::Normal));
        let asked = streaming_run();
        let slow = published.gateway.begin(&asked);
        let seen = async {
            published.dify.api.wait_for_requests(2).await?;
            // Another request has been too slow meanwhile, so that more than 200 ms have gone by.
            published.dify.api.next(Behaviour::Silent);
            let other = published
                .call(&Request::get("/v1/info").bearer("app-1"))
                .await?;
            assert_eq!(other.status(), 504);
            gate.release();
            anyhow::Ok(())
        };
        let (slow, seen) = tokio::join!(slow, seen);
        seen?;
        let answer = slow?.finish().await?;
        assert_eq!((answer.status(), answer.end), (200, End::Clean));
        Ok(())
    })
}

#[test]
fn a_stream_that_stops_ends_with_difys_error_event() -> Result<()> {
    run(async {
        for (settings, words) in [
            ("timeouts: { stream_idle: 300ms }", "sent nothing for 0.3 s"),
            // Above `idle` it holds as well.
            (
                "timeouts: { idle: 50ms, stream_idle: 900ms }",
                "sent nothing",
            ),
            ("timeouts: { ceiling: 700ms }", "lasted as long"),
        ] {
            let published = Published::start("", settings).await?;
            let steps = vec![
                Step::text(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
                ),
                Step::text("e\r\ndata: {\"event\"\r\n"),
                Step::Hold,
            ];
            published.dify.api.next(Behaviour::Raw(steps));
            let mut incoming = published.gateway.begin(&streaming_run()).await?;
            let mut last = String::new();
            while let Some(block) = incoming.next_block().await? {
                last = block;
            }
            assert_eq!(incoming.end(), Some(&End::Clean));
            let error: serde_json::Value =
                serde_json::from_str(last.strip_prefix("data: ").unwrap_or_default())?;
            assert_eq!(
                (error["event"].as_str(), error["status"].as_u64()),
                (Some("error"), Some(504))
            );
            assert!(last.contains(words), "{last}");
            published.dify.api.wait_for_disconnects(1).await?;
        }
        Ok(())
    })
}

#[test]
fn what_plugins_and_mcp_servers_stream_may_be_silent_for_longer() -> Result<()> {
    run(async {
        let published =
            Published::start("", "timeouts: { idle: 100ms, stream_idle: 100ms }").await?;
        for path in ["/mcp/server/x/mcp", "/e/hook"] {
            let service = match path {
                "/e/hook" => &published.dify.plugin_daemon,
                _ => &published.dify.api,
            };
            let gate = Gate::new();
            service.next(Behaviour::Raw(vec![
                Step::text(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
                ),
                Step::text("9\r\ndata: 1\n\n\r\n"),
                Step::release(&gate),
                Step::text("9\r\ndata: 2\n\n\r\n0\r\n\r\n"),
            ]));
            let mut incoming = published.gateway.begin(&Request::get(path)).await?;
            assert_eq!(incoming.next_block().await?.as_deref(), Some("data: 1"));
            // What is not so is given up meanwhile.
            published.dify.api.next(Behaviour::Raw(vec![
                Step::text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
                Step::Hold,
            ]));
            let other = Request::get("/v1/info").bearer("app-1");
            let mut other = published.gateway.begin(&other).await?;
            while other.next_piece().await.is_ok_and(|piece| piece.is_some()) {}
            assert_ne!(other.end(), Some(&End::Clean));
            gate.release();
            assert_eq!(incoming.next_block().await?.as_deref(), Some("data: 2"));
            assert_eq!(incoming.next_block().await?, None);
            assert_eq!(incoming.end(), Some(&End::Clean), "{path}");
        }
        Ok(())
    })
}

#[test]
fn a_stream_that_breaks_off_ends_with_difys_error_event_and_other_answers_break_off() -> Result<()>
{
    run(async {
        let published = Published::start("", "").await?;
        let broken = EventStream::new().cut_after(2, Break::Reset);
        published.dify.api.next(Behaviour::Stream(broken));
        let answer = published.call(&streaming_run()).await?;
        assert_eq!(answer.end, End::Clean);
        let text = answer.text();
        let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
        assert!(
            last.contains("\"event\":\"error\"") && last.contains("502"),
            "{text}"
        );

        let steps = vec![
            Step::text(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"event\"",
            ),
            Step::Reset,
        ];
        published.dify.api.next(Behaviour::Raw(steps));
        let body = json!({"inputs": {}, "query": "q", "response_mode": "blocking", "user": "u"});
        let request = Request::json("/v1/chat-messages", &body).bearer("app-1");
        // The break may come before the head has left.
        if let Ok(mut incoming) = published.gateway.begin(&request).await {
            while incoming
                .next_piece()
                .await
                .is_ok_and(|piece| piece.is_some())
            {}
            assert_ne!(
                incoming.end(),
                Some(&End::Clean),
                "half an answer looks complete"
            );
        }
        for outcome in ["broken"] {
            let labels = [("outcome", outcome)];
            published
                .samples("spillway_agent_runs_total", &labels, 2.0)
                .await?;
        }
        Ok(())
    })
}

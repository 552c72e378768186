//! Event streams.

use serde_json::json;
use spillway_tests::{
    client::Request,
    standin::{Behaviour, Break, Cut, EventStream, Reply},
};

use super::{Case, service_api};

/// Runs that are streamed.
pub(super) fn cases() -> Vec<Case> {
    let run = |path: &str| {
        let body =
            json!({"inputs": {}, "query": "hello", "response_mode": "streaming", "user": "u"});
        Request::json(path, &body).bearer("app-parity-1")
    };
    let shaped = |name: &str, shape: EventStream| {
        Case::new(&format!("stream: {name}"), run("/v1/chat-messages"))
            .behaving(Behaviour::Stream(shape))
    };
    vec![
        Case::new("stream: a chat", run("/v1/chat-messages")),
        Case::new("stream: a completion", run("/v1/completion-messages")),
        Case::new("stream: a workflow", run("/v1/workflows/run")),
        Case::new("stream: a web app's", run("/api/chat-messages")),
        Case::new(
            "stream: the console's",
            run("/console/api/apps/1/workflows/draft/run").header("Cookie", "access_token=a"),
        ),
        Case::new(
            "stream: taken up again by GET",
            service_api("GET", "/v1/workflow/c3800678/events?user=u"),
        ),
        Case::new("stream: refused", run("/v1/chat-messages")).behaving(Behaviour::Error(429)),
        shaped("byte by byte", EventStream::new().cut(Cut::Bytes)),
        shaped("in one piece", EventStream::new().cut(Cut::Whole)),
        shaped(
            "until the connection is closed",
            EventStream::new().until_close(),
        ),
        shaped("a huge event", EventStream::new().huge(200_000)),
        shaped("500 events", EventStream::new().long(500)),
        shaped(
            "with Dify's error at the end",
            EventStream::new().error_after(3),
        ),
        shaped(
            "closed early",
            EventStream::new().cut_after(2, Break::Close),
        ),
        shaped("reset", EventStream::new().cut_after(2, Break::Reset)),
        Case::new(
            "stream: with Dify's own word on buffering",
            run("/v1/chat-messages"),
        )
        .answered(
            Reply::new(200)
                .header("Content-Type", "text/event-stream; charset=utf-8")
                .header("Cache-Control", "no-store")
                .header("X-Accel-Buffering", "no")
                .body("data: {\"event\":\"message_end\"}\n\n")
                .chunked(1000),
        ),
    ]
}

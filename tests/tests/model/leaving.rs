//! A client that leaves.

use std::time::Duration;

use anyhow::Result;
use spillway_tests::{
    chat_request,
    client::Request,
    run,
    standin::{Behaviour, EventStream},
    stream_request,
};

use crate::Models;

#[test]
fn a_client_that_leaves_in_a_stream_ends_the_call_upstream() -> Result<()> {
    run(async {
        let models = Models::start().await?;
        let shape = EventStream::new()
            .long(100_000)
            .gap(Duration::from_millis(5));
        models.first.always(Behaviour::Stream(shape));
        let request = Request::json("/llm/v1/chat/completions", &stream_request("gpt-4o", "hi"));
        let mut incoming = models.gateway.begin(&request).await?;
        for _ in 0..3 {
            assert!(incoming.next_block().await?.is_some());
        }
        drop(incoming);
        models.first.wait_for_disconnects(1).await?;
        Ok(())
    })
}

#[test]
fn clients_that_leave_early_take_nobody_with_them() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let body = stream_request("gpt-4o", "hi").to_string();
        for cut in [1, 20, 60, 120, 200] {
            let whole = format!(
                "POST /llm/v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut connection = models.gateway.connect().await?;
            connection
                .write(&whole.as_bytes()[..cut.min(whole.len())])
                .await?;
            drop(connection);
        }
        let answer = models
            .post("/v1/chat/completions", &chat_request("gpt-4o", "hi"))
            .await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        Ok(())
    })
}

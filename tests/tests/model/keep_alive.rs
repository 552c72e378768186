//! A first token that takes long: the client is kept waiting with comments, and failover still works.

use anyhow::{Context, Result};
use spillway_tests::{
    Chat,
    client::{Incoming, Request},
    mark, run,
    standin::{Behaviour, EventStream, Gate, Wait, chat_text},
    stream_request,
};

use crate::Models;

/// Begins a stream and waits for a comment, which comes as a block of its own.
async fn wait_for_comment(models: &Models, mark: &str) -> Result<Incoming> {
    let request = Request::json(
        "/llm/v1/chat/completions",
        &stream_request("chatty-a", mark),
    );
    let mut incoming = models.gateway.begin(&request).await?;
    assert_eq!(incoming.status(), 200);
    let block = incoming.next_block().await?.context("the stream ended")?;
    assert!(
        block.lines().all(|line| line.starts_with(':')),
        "a block of comments alone, not {block:?}"
    );
    Ok(incoming)
}

#[test]
fn comments_keep_the_client_waiting() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let (mark, gate) = (mark(), Gate::new());
        let shape = EventStream::new().wait_before(1, Wait::Release(gate.clone()));
        models.first.when(&mark, Behaviour::Stream(shape));
        let incoming = wait_for_comment(&models, &mark).await?;
        gate.open();
        let answer = incoming.finish().await?;
        let chat = Chat::read(&answer.text());
        assert_eq!(chat.text(), chat_text("first-model", &mark));
        assert!(chat.done && chat.error.is_none());
        Ok(())
    })
}

#[test]
fn a_failure_after_the_head_and_before_content_still_goes_on() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for failure in [
            Behaviour::Reset,
            Behaviour::Error(503),
            Behaviour::Stream(EventStream::new().error_after(0)),
        ] {
            let (mark, gate) = (mark(), Gate::new());
            models
                .first
                .when(&mark, Behaviour::held(&gate, failure.clone()));
            let incoming = wait_for_comment(&models, &mark).await?;
            gate.open();
            let answer = incoming.finish().await?;
            let chat = Chat::read(&answer.text());
            assert_eq!(chat.text(), chat_text("second-model", &mark), "{failure:?}");
            assert!(
                chat.done && chat.error.is_none(),
                "{failure:?}: {}",
                answer.text()
            );
        }
        Ok(())
    })
}

#[test]
fn when_all_targets_fail_after_the_head_an_error_event_tells() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let (mark, gate) = (mark(), Gate::new());
        models
            .first
            .when(&mark, Behaviour::held(&gate, Behaviour::Error(503)));
        models.second.when(&mark, Behaviour::Error(500));
        let incoming = wait_for_comment(&models, &mark).await?;
        gate.open();
        let answer = incoming.finish().await?;
        let chat = Chat::read(&answer.text());
        assert!(chat.error.is_some() && !chat.done, "{}", answer.text());
        assert_eq!(chat.text(), "");
        Ok(())
    })
}

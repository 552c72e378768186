//! A stream that fails after content went out: told within the stream, and not begun anew.

use anyhow::Result;
use spillway_tests::{
    attempts, mark, provider, run,
    standin::{Behaviour, Break, EventStream, Gate, Wait, chat_text},
};

use crate::Models;

#[test]
fn a_failure_after_content_is_an_error_event_without_done() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let new = EventStream::new;
        for (what, shape) in [
            ("an error event", new().error_after(4)),
            ("a reset", new().cut_after(4, Break::Reset)),
            (
                "a close without the last chunk",
                new().cut_after(4, Break::Close),
            ),
            (
                "a close within a chunk",
                new().cut_after(4, Break::InsideChunk),
            ),
            (
                "a clean end before the finish reason",
                new().cut_after(4, Break::Clean),
            ),
            (
                "an error event, CRLF",
                new()
                    .error_after(4)
                    .line_end(spillway_tests::standin::LineEnd::CrLf),
            ),
        ] {
            let mark = mark();
            models.first.when(&mark, Behaviour::Stream(shape));
            let (answer, chat) = models.stream("both-a", &mark).await?;
            assert!(
                chat.error.is_some(),
                "{what} looks like an end to the client: {}",
                answer.text()
            );
            assert!(!chat.done, "{what}: {}", answer.text());
            let whole = chat_text("first-model", &mark);
            assert!(
                !chat.text().is_empty() && whole.starts_with(&chat.text()),
                "{what}: {}",
                answer.text()
            );
            assert!(
                models.second.requests_mentioning(&mark).is_empty(),
                "{what}: the text was begun anew"
            );
            assert_eq!(provider(&answer.head).as_deref(), Some("first"), "{what}");
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"), "{what}");
        }
        Ok(())
    })
}

#[test]
fn all_content_before_the_failure_has_come() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        // The role, and three pieces of text.
        models
            .first
            .when(&mark, Behaviour::Stream(EventStream::new().error_after(4)));
        let (_, chat) = models.stream("both-a", &mark).await?;
        let whole = chat_text("first-model", &mark);
        let three: String = whole.split_inclusive(' ').take(3).collect();
        assert_eq!(chat.text(), three);
        let error = chat.error.unwrap_or_default();
        let message = error["message"].as_str().unwrap_or_default();
        assert!(
            !message.is_empty() && !message.contains("127.0.0.1"),
            "{error}"
        );
        Ok(())
    })
}

#[test]
fn a_stream_that_stops_is_given_up() -> Result<()> {
    run(async {
        let models = Models::start().await?;
        let shape = EventStream::new().wait_before(4, Wait::Release(Gate::new()));
        models.first.always(Behaviour::Stream(shape));
        let (answer, chat) = models.stream("impatient-a", "hi").await?;
        assert!(chat.error.is_some() && !chat.done, "{}", answer.text());
        models.first.wait_for_disconnects(1).await?;
        assert!(
            models.second.requests().is_empty(),
            "the text was begun anew"
        );
        Ok(())
    })
}

#[test]
fn a_stream_without_done_but_with_its_finish_reason_is_whole() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let new = EventStream::new;
        for shape in [new().without_done(), new().without_done().until_close()] {
            let mark = mark();
            models.first.when(&mark, Behaviour::Stream(shape));
            let (answer, chat) = models.stream("both-a", &mark).await?;
            assert!(chat.done && chat.error.is_none(), "{}", answer.text());
            assert_eq!(chat.text(), chat_text("first-model", &mark));
        }
        Ok(())
    })
}

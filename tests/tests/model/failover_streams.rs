//! The next target serves what the first one cannot: streams, until content went out.

use anyhow::Result;
use spillway_tests::{
    Reason, assert_openai_error, attempts, mark, reason, run,
    standin::{Behaviour, Break, EventStream, Gate, Wait, chat_text},
    stream_request,
};

use crate::{
    Models,
    failover::{AT_ONCE, assert_fallback, failures},
};

#[test]
fn every_failure_before_content_goes_on_to_the_next_target() -> Result<()> {
    run(async {
        let new = EventStream::new;
        let mut failures = failures();
        for (what, shape) in [
            ("a reset after the head", new().cut_after(0, Break::Reset)),
            ("a close after the head", new().cut_after(0, Break::Close)),
            (
                "a stream without an event",
                new().cut_after(0, Break::Clean),
            ),
            (
                "a close within the first chunk",
                new().cut_after(0, Break::InsideChunk),
            ),
            ("a reset after the role", new().cut_after(1, Break::Reset)),
            ("a close after the role", new().cut_after(1, Break::Close)),
            (
                "a clean end after the role",
                new().cut_after(1, Break::Clean),
            ),
            (
                "a close within the second chunk",
                new().cut_after(1, Break::InsideChunk),
            ),
            ("an error as the first event", new().error_after(0)),
            ("an error after the role", new().error_after(1)),
        ] {
            failures.push((what, Behaviour::Stream(shape)));
        }
        for some in failures.chunks(AT_ONCE) {
            let models = Models::start_patient().await?;
            for (what, behaviour) in some {
                let mark = mark();
                models.first.when(&mark, behaviour.clone());
                let (answer, chat) = models.stream("both-a", &mark).await?;
                assert_fallback(&answer, what);
                assert_eq!(chat.text(), chat_text("second-model", &mark), "{what}");
                assert!(
                    chat.done && chat.error.is_none(),
                    "{what}: {}",
                    answer.text()
                );
                assert_eq!(
                    models.first.requests_mentioning(&mark).len(),
                    1,
                    "{what}: tried once"
                );
                assert_eq!(models.second.requests_mentioning(&mark).len(), 1, "{what}");
                let of_first = |chunk: &serde_json::Value| chunk["system_fingerprint"] == "first";
                assert!(
                    !chat.chunks.iter().any(of_first),
                    "{what}: a chunk of the first target came: {}",
                    answer.text()
                );
            }
        }
        Ok(())
    })
}

#[test]
fn a_target_that_refuses_connections_goes_on() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        let (answer, chat) = models.stream("dead-first-a", &mark).await?;
        assert_fallback(&answer, "refused");
        assert_eq!(chat.text(), chat_text("second-model", &mark));
        Ok(())
    })
}

#[test]
fn a_target_without_a_first_token_in_time_goes_on_and_its_connection_is_closed() -> Result<()> {
    run(async {
        let models = Models::start().await?;
        let never = Wait::Release(Gate::new());
        let waiting =
            |event| Behaviour::Stream(EventStream::new().wait_before(event, never.clone()));
        let silences = [
            ("no head", Behaviour::Silent),
            ("a head and no event", waiting(0)),
            ("a role and no content", waiting(1)),
        ];
        for (number, (what, behaviour)) in silences.into_iter().enumerate() {
            models.first.next(behaviour);
            let (answer, chat) = models.stream("impatient-a", "hi").await?;
            assert_fallback(&answer, what);
            assert_eq!(chat.text(), chat_text("second-model", "hi"), "{what}");
            models.first.wait_for_disconnects(number + 1).await?;
        }
        Ok(())
    })
}

#[test]
fn the_clients_own_faults_are_told_and_not_repeated() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for status in [400, 404, 413, 422] {
            let mark = mark();
            models.first.when(&mark, Behaviour::Error(status));
            let answer = models
                .post("/v1/chat/completions", &stream_request("both-a", &mark))
                .await?;
            assert_openai_error(&answer, status);
            assert!(
                models.second.requests_mentioning(&mark).is_empty(),
                "{status} was sent to the second target"
            );
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"), "{status}");
        }
        Ok(())
    })
}

#[test]
fn when_all_targets_fail_before_the_head_the_status_tells() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let answer = models
            .post("/v1/chat/completions", &stream_request("all-dead-a", "hi"))
            .await?;
        assert_openai_error(&answer, 502);
        reason(&answer.head, Reason::UpstreamRefused);
        let mark = mark();
        for target in [&models.first, &models.second] {
            target.when(&mark, Behaviour::Error(503));
        }
        let answer = models
            .post("/v1/chat/completions", &stream_request("both-a", &mark))
            .await?;
        assert_openai_error(&answer, 503);
        reason(&answer.head, Reason::UpstreamStatus);
        Ok(())
    })
}

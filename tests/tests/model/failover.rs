//! The next target serves what the first one cannot: answers that are not streamed.

use anyhow::Result;
use spillway_tests::{
    Reason, assert_openai_error, attempts, chat_request,
    client::Response,
    mark, message, model, provider, reason, run,
    standin::{Behaviour, Reply, Step, chat_text},
};

use crate::Models;

/// Asserts that the second target has served, after the first was tried once.
pub(crate) fn assert_fallback(answer: &Response, what: &str) {
    assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
    assert_eq!(provider(&answer.head).as_deref(), Some("second"), "{what}");
    assert_eq!(
        model(&answer.head).as_deref(),
        Some("second-model"),
        "{what}"
    );
    assert_eq!(attempts(&answer.head).as_deref(), Some("2"), "{what}");
    reason(&answer.head, Reason::Fallback);
}

/// So many failures one gateway is given: its instance has a retry for each.
pub(crate) const AT_ONCE: usize = 12;

/// Failures on which a call goes on to the next target, streamed or not. (Those of keys are in `key_faults`.)
pub(crate) fn failures() -> Vec<(&'static str, Behaviour)> {
    vec![
        ("a reset before the head", Behaviour::Reset),
        ("a close before the head", Behaviour::Close),
        ("no HTTP", Behaviour::Garbage),
        ("408", Behaviour::Error(408)),
        ("500", Behaviour::Error(500)),
        ("502", Behaviour::Error(502)),
        ("503", Behaviour::Error(503)),
        ("504", Behaviour::Error(504)),
        ("529", Behaviour::Error(529)),
        ("500 without a body", Behaviour::Reply(Reply::new(500))),
        ("200 that is no JSON", Behaviour::not_json()),
        ("an empty 200", Behaviour::empty()),
        ("an empty 204", Behaviour::Reply(Reply::new(204))),
    ]
}

#[test]
fn every_failure_goes_on_to_the_next_target() -> Result<()> {
    run(async {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        let mut failures = failures();
        failures.push((
            "a body cut short of its length",
            Behaviour::Raw(vec![
                Step::text(format!("{head}Content-Length: 1000\r\n\r\n{{\"id\":\"x\",")),
                Step::Close,
            ]),
        ));
        failures.push((
            "a chunked body cut short",
            Behaviour::Raw(vec![
                Step::text(format!(
                    "{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"id\"\r\n"
                )),
                Step::Close,
            ]),
        ));
        failures.push((
            "a body reset in the middle",
            Behaviour::Raw(vec![
                Step::text(format!("{head}Content-Length: 1000\r\n\r\n{{\"id\":\"x\",")),
                Step::Reset,
            ]),
        ));
        failures.push((
            "JSON cut short by a clean end",
            Behaviour::Raw(vec![Step::text(format!(
                "{head}Content-Length: 5\r\n\r\n{{\"id\""
            ))]),
        ));
        for some in failures.chunks(AT_ONCE) {
            let models = Models::start_patient().await?;
            for (what, behaviour) in some {
                let mark = mark();
                models.first.when(&mark, behaviour.clone());
                let answer = models
                    .post("/v1/chat/completions", &chat_request("both-a", &mark))
                    .await?;
                assert_fallback(&answer, what);
                assert_eq!(
                    message(&answer.json()),
                    chat_text("second-model", &mark),
                    "{what}"
                );
                assert_eq!(
                    models.first.requests_mentioning(&mark).len(),
                    1,
                    "{what}: tried once"
                );
                let second = models.second.requests_mentioning(&mark);
                assert_eq!(second.len(), 1, "{what}");
                assert_eq!(
                    second[0].json()["model"],
                    "second-model",
                    "{what}: each target has its own name for it"
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
        let answer = models
            .post("/v1/chat/completions", &chat_request("dead-first-a", &mark))
            .await?;
        assert_fallback(&answer, "refused");
        assert_eq!(message(&answer.json()), chat_text("second-model", &mark));
        Ok(())
    })
}

#[test]
fn a_silent_target_goes_on_and_its_connection_is_closed() -> Result<()> {
    run(async {
        let models = Models::start().await?;
        models.first.always(Behaviour::Silent);
        let answer = models
            .post("/v1/chat/completions", &chat_request("impatient-a", "hi"))
            .await?;
        assert_fallback(&answer, "silence");
        models.first.wait_for_disconnects(1).await?;
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
        models
            .first
            .always(Behaviour::Raw(vec![Step::text(head), Step::Hold]));
        let answer = models
            .post("/v1/chat/completions", &chat_request("impatient-a", "hi"))
            .await?;
        assert_fallback(&answer, "a body that does not go on");
        models.first.wait_for_disconnects(2).await?;
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
                .post("/v1/chat/completions", &chat_request("both-a", &mark))
                .await?;
            let told = assert_openai_error(&answer, status);
            let expected = models.first.requests_mentioning(&mark);
            assert_eq!(expected.len(), 1, "{status}");
            assert!(
                told.contains("stand-in")
                    || told.contains("API key")
                    || told.contains("nothing here"),
                "the vendor's own words go through, not {told:?}"
            );
            assert!(
                models.second.requests_mentioning(&mark).is_empty(),
                "{status} was sent to the second target"
            );
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"), "{status}");
            assert_eq!(provider(&answer.head).as_deref(), Some("first"), "{status}");
            reason(&answer.head, Reason::UpstreamStatus);
        }
        Ok(())
    })
}

#[test]
fn only_the_configured_failures_go_on() -> Result<()> {
    run(async {
        let models = Models::start().await?;
        for (status, goes_on) in [(503, true), (500, false), (429, false)] {
            let mark = mark();
            models.first.when(&mark, Behaviour::Error(status));
            let answer = models
                .post("/v1/chat/completions", &chat_request("only-503-a", &mark))
                .await?;
            let expected = if goes_on { 200 } else { status };
            assert_eq!(answer.status(), expected, "{}", answer.text());
            assert_eq!(
                models.second.requests_mentioning(&mark).len(),
                usize::from(goes_on),
                "{status}"
            );
        }
        Ok(())
    })
}

#[test]
fn no_more_targets_are_tried_than_allowed() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        models.first.when(&mark, Behaviour::Error(503));
        let answer = models
            .post(
                "/v1/chat/completions",
                &chat_request("one-attempt-a", &mark),
            )
            .await?;
        assert_openai_error(&answer, 503);
        assert!(models.second.requests_mentioning(&mark).is_empty());
        Ok(())
    })
}

#[test]
fn when_all_targets_fail_the_last_failure_is_told() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let dead = models
            .post("/v1/chat/completions", &chat_request("all-dead-a", "hi"))
            .await?;
        let message = assert_openai_error(&dead, 502);
        assert!(
            !message.contains("127.0.0.1"),
            "an internal address in {message:?}"
        );
        assert_eq!(attempts(&dead.head).as_deref(), Some("2"));
        reason(&dead.head, Reason::UpstreamRefused);

        let overloaded = mark();
        for target in [&models.first, &models.second] {
            target.when(&overloaded, Behaviour::Error(529));
        }
        let answer = models
            .post("/v1/chat/completions", &chat_request("both-a", &overloaded))
            .await?;
        assert_openai_error(&answer, 529);
        assert_eq!(attempts(&answer.head).as_deref(), Some("2"));
        reason(&answer.head, Reason::UpstreamStatus);

        let silent = mark();
        models.first.when(&silent, Behaviour::Silent);
        let answer = models
            .post("/v1/chat/completions", &chat_request("alone-a", &silent))
            .await?;
        assert_openai_error(&answer, 504);
        reason(&answer.head, Reason::UpstreamTimeout);

        let reset = mark();
        models.first.when(&reset, Behaviour::Reset);
        let answer = models
            .post("/v1/chat/completions", &chat_request("own-a", &reset))
            .await?;
        assert_openai_error(&answer, 502);
        assert_eq!(
            attempts(&answer.head).as_deref(),
            Some("2"),
            "the only way is taken once more"
        );
        reason(&answer.head, Reason::UpstreamError);
        Ok(())
    })
}

//! Runs are read along: whose, how they ended, what they took.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    client::Request,
    metrics::total,
    run,
    standin::{Behaviour, Break, EventStream},
};

use crate::Published;

const RUNS: &str = "spillway_agent_runs_total";
const TOKENS: &str = "spillway_agent_tokens_total";

fn request(path: &str, mode: &str) -> Request {
    let body = json!({"inputs": {}, "query": "hello", "response_mode": mode, "user": "u"});
    Request::json(path, &body).bearer("app-secret-1")
}

#[test]
fn each_run_and_its_tokens_are_counted_once() -> Result<()> {
    run(async {
        let published = Published::start("", "").await?;
        for (path, mode) in [
            ("/v1/chat-messages", "streaming"),
            ("/v1/chat-messages", "blocking"),
            ("/v1/workflows/run", "streaming"),
            ("/v1/workflows/run", "blocking"),
        ] {
            let answer = published.call(&request(path, mode)).await?;
            assert_eq!(answer.status(), 200);
        }
        published
            .samples(RUNS, &[("outcome", "succeeded")], 4.0)
            .await?;
        let samples = published
            .samples(TOKENS, &[("kind", "unsplit")], 1.0)
            .await?;
        assert_eq!(total(&samples, TOKENS, &[("kind", "input")]), 24.0);
        assert_eq!(
            total(&samples, TOKENS, &[("kind", "unsplit")]),
            24.0 + total(&samples, TOKENS, &[("kind", "output")])
        );
        for mode in ["streaming", "blocking"] {
            assert_eq!(total(&samples, RUNS, &[("mode", mode)]), 2.0);
        }
        let app = samples
            .iter()
            .find(|sample| sample.name == RUNS)
            .and_then(|sample| sample.labels.get("app").cloned())
            .unwrap_or_default();
        assert_eq!(app.len(), 12, "{app:?}");
        let log = published.gateway.log();
        assert!(log.contains(&format!("app=\"{app}\"")), "{log}");
        assert!(
            log.contains("conversation=") && log.contains("input_tokens=12"),
            "{log}"
        );
        assert!(!log.contains("app-secret-1"), "the key is in the log");
        assert!(!log.contains("hello"), "the query is in the log");
        Ok(())
    })
}

#[test]
fn a_run_is_counted_as_what_it_is() -> Result<()> {
    run(async {
        let published = Published::start("", "").await?;
        for (behaviour, outcome, app) in [
            (
                Behaviour::Stream(EventStream::new().error_after(1)),
                "error",
                true,
            ),
            (
                Behaviour::Stream(EventStream::new().cut_after(2, Break::Clean)),
                "unfinished",
                true,
            ),
            (Behaviour::reset_after_events(2), "broken", true),
            (Behaviour::Error(400), "refused", false),
            (Behaviour::not_json(), "unread", true),
        ] {
            published.dify.api.next(behaviour);
            published
                .call(&request("/v1/chat-messages", "streaming"))
                .await?;
            let samples = published
                .samples(RUNS, &[("outcome", outcome)], 1.0)
                .await?;
            let unknown = total(&samples, RUNS, &[("outcome", outcome), ("app", "")]);
            assert_eq!(unknown, if app { 0.0 } else { 1.0 }, "{outcome}");
            // Streams were asked for; what is not read does not say what it would have been.
            let mode = match outcome {
                "refused" | "unread" => "unknown",
                _ => "streaming",
            };
            let labels = [("outcome", outcome), ("mode", mode)];
            assert_eq!(total(&samples, RUNS, &labels), 1.0, "{outcome}");
        }
        Ok(())
    })
}

//! Calls and runs that the runtime gives up on their way: what they had come to is told all the same.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use spillway_gateway::{agent, model};
use spillway_platform::Clock as _;
use spillway_platform_sim::{PeerStep, Sim, SimRequest, Unanswered};

use super::models::{answer, call};
use super::{records, total, world};

/// The world's log once a call to it has been given up, five seconds after it began.
fn give_up(sim: &Sim, more: &str) -> String {
    let (instance, platform) = (sim.instance(), sim.clone());
    let request = call("m", more);
    let clock = sim.clone();
    sim.run(async move {
        let runtime = Arc::new(model::start(platform).await.unwrap());
        let serving = {
            let runtime = Arc::clone(&runtime);
            async move { model::handle(&runtime, request).await }
        };
        let answer = instance.call(serving);
        clock.sleep(Duration::from_secs(5)).await;
        instance.cancel_one();
        if let Err(lost) = answer.await {
            assert!(matches!(lost, Unanswered::Lost));
        }
        // Whose turns write the line and add up the counts.
        let serving = async move { model::handle(&runtime, call("m", "")).await };
        instance.call(serving).await.unwrap().read().await;
    });
    sim.log_lines().join("\n")
}

#[test]
fn a_call_tells_the_attempts_that_it_had_made() {
    let sim = world();
    sim.set_upstream("first:1", |_| vec![PeerStep::head(503, "application/json")]);
    let mut is_silent = true;
    sim.set_upstream("second:2", move |_| {
        if std::mem::take(&mut is_silent) {
            vec![PeerStep::Wait(Duration::from_secs(60))]
        } else {
            answer()
        }
    });
    let log = give_up(&sim, "");
    assert_eq!(records(&sim), ["call 499 client_left", "call 200 fallback"]);
    let told =
        "outcome=503 ms=0, second/as_asked at=http://second:2 key=- outcome=client_left ms=5000]";
    assert!(log.contains(told), "{log}");
    assert_eq!(total(&sim, "outcome=\"client_left\""), 1);
}

#[test]
fn a_stream_tells_the_tokens_that_it_had_counted() {
    let sim = world();
    let chunk = r#"data: {"id":"1","choices":[{"index":0,"delta":{"content":"hi"}}],"usage":{"prompt_tokens":7,"completion_tokens":1}}"#;
    let mut is_slow = true;
    sim.set_upstream("first:1", move |_| {
        if std::mem::take(&mut is_slow) {
            vec![
                PeerStep::head(200, "text/event-stream"),
                PeerStep::piece(&format!("{chunk}\n\n")),
                PeerStep::Wait(Duration::from_secs(60)),
            ]
        } else {
            answer()
        }
    });
    let log = give_up(&sim, r#","stream":true"#);
    let told = "status=200 reason=client_left";
    assert!(log.contains(told), "its head had gone out: {log}");
    let told = "input_tokens=7 output_tokens=1 first_token_ms=0 attempts=[first/as_asked";
    assert!(log.contains(told), "{log}");
    assert_eq!(total(&sim, "kind=\"input\""), 7 + 1);
}

/// The log's line of a run that has been given up, five seconds after it began.
fn give_up_run(sim: &Sim) -> String {
    let (instance, platform) = (sim.instance(), sim.clone());
    let clock = sim.clone();
    sim.run(async move {
        let runtime = Arc::new(agent::start(platform).await.unwrap());
        let run = || {
            let runtime = Arc::clone(&runtime);
            let body = r#"{"inputs":{},"query":"hi","user":"ann"}"#;
            let request = SimRequest::json("/v1/chat-messages", body);
            async move { agent::handle(&runtime, request).await }
        };
        let client = async {
            if let Ok(response) = instance.call(run()).await {
                response.read().await;
            }
        };
        let fate = async {
            clock.sleep(Duration::from_secs(5)).await;
            instance.cancel_one();
        };
        join(client, fate).await;
        // Whose turns write the line.
        let _ = instance.call(run()).await;
        clock.sleep(Duration::from_secs(1)).await;
        instance.cancel_one();
    });
    let lines = sim.log_lines();
    let line = lines.into_iter().find(|line| line.contains(" run "));
    line.unwrap_or_default()
}

#[test]
fn a_run_tells_what_was_read_of_it() {
    let sim = world();
    sim.set_upstream("api:5001", |_| {
        let end = r#"data: {"event":"message_end","conversation_id":"c-1","metadata":{"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}}"#;
        vec![
            PeerStep::head(200, "text/event-stream"),
            PeerStep::piece("data: {\"event\":\"message\",\"answer\":\"hi\"}\n\n"),
            PeerStep::piece(&format!("{end}\n\n")),
            PeerStep::Wait(Duration::from_secs(60)),
        ]
    });
    let line = give_up_run(&sim);
    assert!(line.contains("status=200 reason=client_left"), "{line}");
    let told = "mode=streaming outcome=client_left events=2 input_tokens=5 output_tokens=2";
    assert!(line.contains(told), "{line}");
}

#[test]
fn a_run_that_dify_refused_is_told_so() {
    let sim = world();
    sim.set_upstream("api:5001", |_| {
        vec![
            PeerStep::head(401, "application/json"),
            PeerStep::piece("{"),
            PeerStep::Wait(Duration::from_secs(60)),
        ]
    });
    let line = give_up_run(&sim);
    assert!(line.contains("status=401"), "{line}");
    assert!(line.contains("outcome=refused"), "{line}");
}

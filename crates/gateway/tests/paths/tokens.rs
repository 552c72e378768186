//! Limits of tokens.

use std::time::Duration;

use spillway_platform::SendError;
use spillway_platform_sim::{PeerStep, Sim, SimAnswer, SimRequest};

use super::models::{call, chat};
use super::{Client, Kind, records, serve, total, world_of};

/// A model API with this limit, and an agent API with the same.
fn configuration(limit: &str) -> String {
    format!(
        r#"{{
  "models": [{{ "name": "llm", "policies": {{ "token_limits": [{limit}] }},
    "routes": [{{ "name": "all", "targets": [{{ "provider": "first" }}, {{ "provider": "second" }}] }}] }}],
  "providers": [{{ "name": "first", "base_url": "http://first:1/v1" }}, {{ "name": "second", "base_url": "http://second:2/v1" }}],
  "agents": [{{ "name": "dify", "services": {{ "api": "http://api:5001" }}, "policies": {{ "token_limits": [{limit}] }} }}],
  "state": {{ "redis": "redis://simulated" }}
}}"#
    )
}

fn limit(reserve: &str, tokens: u64) -> String {
    format!(
        r#"{{ "rule_name": "guide", "reserve": "{reserve}", "global_threshold": {{ "token_per_minute": {tokens} }} }}"#
    )
}

fn world(reserve: &str, tokens: u64) -> Sim {
    world_of(&configuration(&limit(reserve, tokens)))
}

fn used(input: u64, output: u64) -> String {
    format!(r#""usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}"#)
}

fn answer(usage: &str) -> Vec<PeerStep> {
    vec![
        PeerStep::head(200, "application/json"),
        PeerStep::piece(&format!(
            r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"one two three four five"}},"finish_reason":"stop"}}]{usage}}}"#
        )),
    ]
}

fn chunk(text: &str) -> PeerStep {
    PeerStep::piece(&format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
    ))
}

fn ask(sim: &Sim, request: SimRequest, client: Client) -> SimAnswer {
    serve(sim, Kind::Model, vec![(request, client)]).remove(0)
}

/// What is charged, once all is settled; nothing may be reserved then.
fn charged(sim: &Sim) -> u64 {
    let clock = sim.clone();
    sim.run(async move {
        use spillway_platform::Clock as _;
        clock.sleep(Duration::from_secs(5)).await;
    });
    let oracle = sim.oracle();
    assert_eq!(oracle.reserved(), []);
    oracle.charged().into_iter().map(|(_, amount)| amount).sum()
}

#[test]
fn of_the_guides_limit_several_calls_pass_but_where_each_may_use_all_of_it() {
    for (reserve, more, passed) in [
        ("none", r#","max_tokens":512"#, 5),
        ("expected", r#","max_tokens":512"#, 4),
        ("max", r#","max_tokens":512"#, 1),
        ("max", r#","max_tokens":100"#, 4),
        ("max", r#","max_tokens":1,"max_completion_tokens":10000"#, 1),
    ] {
        let sim = world(reserve, 500);
        sim.set_upstream("first:1", |_| answer(&format!(",{}", used(20, 80))));
        let requests = (0..8).map(|_| (chat("m", more), Client::Reads)).collect();
        let answers = serve(&sim, Kind::Model, requests);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        let passing = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(passing, passed, "{reserve} {more}: {statuses:?}");
        assert_eq!(charged(&sim), 100 * passed as u64);
        let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
        let text = refused.text();
        assert!(
            text.contains("the limit `guide` allows 500 in any 60 s"),
            "{text}"
        );
        assert!(text.contains(r#""type":"rate_limit"#), "{text}");
        for name in ["retry-after", "ratelimit", "x-ratelimit-limit-tokens"] {
            assert!(refused.headers.contains(name), "{name}");
        }
        let limited = total(&sim, "rule=\"guide\",kind=\"settled\"");
        assert_eq!(limited, 100 * passed as u64);
    }
}

#[test]
fn what_nobody_tells_is_estimated_and_told_so() {
    let sim = world("expected", 10_000);
    sim.set_upstream("first:1", |_| answer(""));
    assert_eq!(ask(&sim, call("m", ""), Client::Reads).status, 200);
    let charged = charged(&sim);
    assert!((10..40).contains(&charged), "{charged}");
    let log = sim.log_lines().join("\n");
    assert!(log.contains("output_tokens=6 estimated=true"), "{log}");
    assert_eq!(total(&sim, "kind=\"estimated\""), charged);
    assert_eq!(total(&sim, "kind=\"output_estimated\""), 6);
}

#[test]
fn a_client_that_leaves_pays_what_went_by_and_keeps_nothing() {
    for (after, expected) in [(1, 8..30), (3, 10..34)] {
        let sim = world("max", 10_000);
        sim.set_upstream("first:1", |_| {
            let mut steps = vec![PeerStep::head(200, "text/event-stream")];
            for _ in 0..100 {
                steps.push(chunk("one two"));
                steps.push(PeerStep::Wait(Duration::from_secs(1)));
            }
            steps
        });
        ask(&sim, chat("m", r#","stream":true"#), Client::Leaves(after));
        let charged = charged(&sim);
        assert!(expected.contains(&charged), "{after}: {charged}");
    }
}

#[test]
fn what_fails_costs_nothing_and_what_serves_then_does() {
    let sim = world("max", 10_000);
    sim.set_upstream("first:1", |_| vec![PeerStep::head(503, "application/json")]);
    sim.set_upstream("second:2", |_| answer(&format!(",{}", used(7, 3))));
    assert_eq!(ask(&sim, chat("m", ""), Client::Reads).status, 200);
    assert_eq!(charged(&sim), 10);
    let sim = world("max", 10_000);
    for upstream in ["first:1", "second:2"] {
        sim.set_upstream(upstream, |_| vec![PeerStep::head(503, "application/json")]);
    }
    assert_eq!(ask(&sim, chat("m", ""), Client::Reads).status, 503);
    assert_eq!(charged(&sim), 0);
    // Text had gone out.
    let sim = world("max", 10_000);
    sim.set_upstream("first:1", |_| {
        vec![
            PeerStep::head(200, "text/event-stream"),
            chunk("one two three four"),
            PeerStep::Fail(SendError::Reset("cut".to_owned())),
        ]
    });
    ask(&sim, chat("m", r#","stream":true"#), Client::Reads);
    assert_eq!(records(&sim), ["call 200 stream_broken"]);
    assert!((8..30).contains(&charged(&sim)));
}

#[test]
fn a_response_that_is_passed_on_is_counted_and_a_file_is_not() {
    let sim = world("max", 10_000);
    sim.set_upstream("first:1", |_| {
        vec![
            PeerStep::head(200, "application/json"),
            PeerStep::piece(r#"{"id":"resp_1","output":[],"usa"#),
            PeerStep::piece(r#"ge":{"input_tokens":11,"output_tokens":5}}"#),
        ]
    });
    let body = r#"{"model":"m","input":"hi"}"#;
    ask(
        &sim,
        SimRequest::json("/llm/v1/responses", body),
        Client::Reads,
    );
    assert_eq!(charged(&sim), 16);
    ask(&sim, SimRequest::get("/llm/v1/files"), Client::Reads);
    assert_eq!(charged(&sim), 16);
}

fn run(sim: &Sim, events: &[&'static str], client: Client) -> u16 {
    let events = events.to_vec();
    sim.set_upstream("api:5001", move |_| {
        let mut steps = vec![PeerStep::head(200, "text/event-stream")];
        for event in &events {
            steps.push(PeerStep::piece(&format!("data: {event}\n\n")));
            steps.push(PeerStep::Wait(Duration::from_secs(1)));
        }
        steps
    });
    let body = r#"{"inputs":{},"query":"q","user":"ann","response_mode":"streaming"}"#;
    let request =
        SimRequest::json("/v1/chat-messages", body).header("authorization", "Bearer app-1");
    serve(sim, Kind::Agent, vec![(request, client)])
        .remove(0)
        .status
}

#[test]
fn runs_of_dify_tell_of_their_tokens_and_are_limited() {
    let end = r#"{"event":"message_end","metadata":{"usage":{"prompt_tokens":300,"completion_tokens":100}}}"#;
    let finished =
        r#"{"event":"workflow_finished","data":{"status":"succeeded","total_tokens":400}}"#;
    let text = r#"{"event":"message","answer":"one two three four"}"#;
    let unknown = r#"{"event":"reasoning_chunk","data":{"reasoning":"x"}}"#;
    for (events, charge) in [
        (&[text, unknown, end][..], 400),
        (&[finished][..], 400),
        (&[finished, end][..], 400),
        (&[r#"{"event":"error","message":"no"}"#][..], 0),
        // Nobody told: what such a run is expected to use at least.
        (&[text][..], 125),
    ] {
        let sim = world("expected", 500);
        assert_eq!(run(&sim, events, Client::Reads), 200);
        assert_eq!(charged(&sim), charge, "{events:?}");
    }
    let sim = world("expected", 500);
    assert_eq!(
        run(
            &sim,
            &[r#"{"event":"message","answer":"one two"}"#],
            Client::Leaves(1)
        ),
        200
    );
    assert_eq!(charged(&sim), 125);
    let sim = world("expected", 500);
    let all = || {
        run(
            &sim,
            &[
                r#"{"event":"message_end","metadata":{"usage":{"prompt_tokens":300,"completion_tokens":100}}}"#,
            ],
            Client::Reads,
        )
    };
    assert_eq!([all(), all(), all()], [200, 429, 429]);
    // What is no run uses none.
    let other = SimRequest::get("/v1/parameters");
    assert_eq!(
        serve(&sim, Kind::Agent, vec![(other, Client::Reads)])[0].status,
        200
    );
}

#[test]
fn what_dify_may_have_begun_counts_though_nobody_hears_of_it() {
    let body = r#"{"inputs":{},"query":"q","user":"ann","response_mode":"blocking"}"#;
    let post =
        || SimRequest::json("/v1/chat-messages", body).header("authorization", "Bearer app-1");
    for (error, charge) in [
        (SendError::Reset("cut".to_owned()), 125),
        (SendError::FirstByteTimeout, 125),
        (SendError::Connect("refused".to_owned()), 0),
    ] {
        let sim = world("expected", 500);
        let fails = error.clone();
        sim.set_upstream("api:5001", move |_| vec![PeerStep::Fail(fails.clone())]);
        serve(&sim, Kind::Agent, vec![(post(), Client::Reads)]);
        assert_eq!(charged(&sim), charge, "{error}");
    }
    // Who follows a run that another request has begun uses none.
    let sim = world("expected", 500);
    let end =
        r#"data: {"event":"workflow_finished","data":{"status":"succeeded","total_tokens":400}}"#;
    sim.set_upstream("api:5001", move |_| {
        vec![
            PeerStep::head(200, "text/event-stream"),
            PeerStep::piece(&format!("{end}\n\n")),
        ]
    });
    let follow = SimRequest::get("/v1/workflow/1/events").header("authorization", "Bearer app-1");
    serve(&sim, Kind::Agent, vec![(follow, Client::Reads)]);
    assert_eq!(charged(&sim), 0);
}

#[test]
fn a_web_apps_run_of_which_dify_tells_no_tokens_counts_by_its_text() {
    let sim = world("expected", 500);
    let events: &[&str] = &[
        r#"{"event":"message","answer":"one two three four"}"#,
        r#"{"event":"message_end","metadata":{}}"#,
    ];
    assert_eq!(run(&sim, events, Client::Reads), 200);
    assert!((4..8).contains(&charged(&sim)));
}

#[test]
fn what_is_answered_in_the_background_counts_as_much_as_it_may_have() {
    let sim = world("max", 10_000);
    sim.set_upstream("first:1", |_| {
        vec![
            PeerStep::head(200, "application/json"),
            PeerStep::piece(r#"{"id":"resp_1","status":"queued","output":[],"usage":null}"#),
        ]
    });
    let body = r#"{"model":"m","input":"hi","background":true,"max_output_tokens":300}"#;
    ask(
        &sim,
        SimRequest::json("/llm/v1/responses", body),
        Client::Reads,
    );
    assert!((300..330).contains(&charged(&sim)));
}

#[test]
fn a_rule_of_two_windows_tells_its_tokens_once() {
    let limit = r#"{ "rule_name": "guide", "global_threshold": { "token_per_minute": 500, "token_per_day": 5000 } }"#;
    let sim = world_of(&configuration(limit));
    sim.set_upstream("first:1", |_| answer(&format!(",{}", used(7, 3))));
    assert_eq!(ask(&sim, chat("m", ""), Client::Reads).status, 200);
    assert_eq!(total(&sim, "kind=\"settled\""), 10);
    assert_eq!(charged(&sim), 20);
}

#[test]
fn what_calls_of_a_kind_have_used_is_what_the_next_reserves() {
    let sim = world("expected", 1_000);
    sim.set_upstream("first:1", |_| answer(&format!(",{}", used(1, 1))));
    let calls = |count: usize| {
        let requests = (0..count).map(|_| (chat("m", ""), Client::Reads)).collect();
        serve(&sim, Kind::Model, requests)
    };
    calls(1);
    let unknown = total(&sim, "kind=\"reserved\"");
    assert!((250..290).contains(&unknown), "{unknown}");
    calls(19);
    let before = total(&sim, "kind=\"reserved\"");
    // Another instance reads what all have used.
    calls(1);
    let known = total(&sim, "kind=\"reserved\"") - before;
    assert!((5..40).contains(&known), "{known}");
    charged(&sim);
}

#[test]
fn without_the_store_calls_are_as_on_error_says_and_what_they_use_counts_when_it_is_back() {
    for (on_error, status, charge) in [("allow", 200, 10), ("deny", 503, 0)] {
        let limit = limit("max", 10_000).replace(
            "\"reserve\"",
            &format!("\"on_error\":\"{on_error}\",\"reserve\""),
        );
        let sim = world_of(&configuration(&limit));
        let oracle = sim.oracle();
        oracle.set_gone(true);
        let back = oracle.clone();
        sim.set_upstream("first:1", move |_| {
            back.set_gone(false);
            answer(&format!(",{}", used(7, 3)))
        });
        assert_eq!(ask(&sim, chat("m", ""), Client::Reads).status, status);
        oracle.set_gone(false);
        assert_eq!(charged(&sim), charge, "{on_error}");
    }
}

#[test]
fn a_streams_reservation_is_renewed_until_its_end() {
    let sim = world("max", 10_000);
    sim.set_upstream("first:1", |_| {
        let mut steps = vec![PeerStep::head(200, "text/event-stream")];
        for _ in 0..50 {
            steps.push(chunk("one two"));
            steps.push(PeerStep::Wait(Duration::from_secs(1)));
        }
        steps
    });
    ask(&sim, chat("m", r#","stream":true"#), Client::Leaves(40));
    charged(&sim);
    let events = sim.store_events();
    let renewed = events
        .iter()
        .filter(|event| event.operation.name() == "renew");
    assert!(renewed.count() >= 3);
}

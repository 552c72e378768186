//! Model calls.

use std::time::Duration;

use spillway_platform::SendError;
use spillway_platform_sim::{PeerStep, SimRequest};

use super::{CONFIGURATION, Client, Kind, records, serve, total, world, world_of};

const ANSWER: &str = r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;

pub fn chat(model: &str, more: &str) -> SimRequest {
    let body =
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]{more}}}"#);
    SimRequest::json("/llm/v1/chat/completions", &body)
}

pub fn call(model: &str, more: &str) -> SimRequest {
    chat(model, more).header("authorization", "Bearer sk-team")
}

pub fn answer() -> Vec<PeerStep> {
    vec![
        PeerStep::head(200, "application/json"),
        PeerStep::piece(ANSWER),
    ]
}

fn chunk(text: &str, finish: &str) -> PeerStep {
    PeerStep::piece(&format!(
        "data: {{\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n"
    ))
}

#[test]
fn a_call_falls_back_and_is_one_record_with_both_attempts() {
    let sim = world();
    sim.set_upstream("first:1", |_| vec![PeerStep::head(503, "application/json")]);
    sim.set_upstream("second:2", |_| answer());
    let answers = serve(&sim, Kind::Model, vec![(call("m", ""), Client::Reads)]);
    assert_eq!(
        (answers[0].status, answers[0].text().as_str()),
        (200, ANSWER)
    );
    assert_eq!(records(&sim), ["call 200 fallback"]);
    assert_eq!(total(&sim, "spillway_model_attempts_total"), 2);
    assert_eq!(total(&sim, "consumer=\"team\",kind=\"output\""), 2);
    let log = sim.log_lines().join("\n");
    assert!(!log.contains("sk-"), "{log}");
    assert_eq!(
        sim.asked()[0].headers.text("authorization"),
        Some("Bearer sk-first")
    );
    assert!(!sim.asked()[1].headers.contains("authorization"));
}

#[test]
fn a_stream_that_is_cut_is_told_and_never_clean() {
    let head = || PeerStep::head(200, "text/event-stream");
    for (script, expected, done) in [
        (
            vec![
                head(),
                chunk("hi", "null"),
                chunk("", "\"stop\""),
                PeerStep::piece("data: [DONE]\n\n"),
            ],
            "call 200 ok",
            true,
        ),
        (
            vec![
                head(),
                chunk("hi", "null"),
                PeerStep::Fail(SendError::Reset("cut".to_owned())),
            ],
            "call 200 stream_broken",
            false,
        ),
        (
            vec![head(), chunk("hi", "null")],
            "call 200 stream_broken",
            false,
        ),
    ] {
        let sim = world();
        sim.set_upstream("first:1", move |_| script.clone());
        let answers = serve(
            &sim,
            Kind::Model,
            vec![(call("m", ",\"stream\":true"), Client::Reads)],
        );
        assert_eq!(records(&sim), [expected]);
        let text = answers[0].text();
        assert_eq!(text.contains("[DONE]"), done, "{text}");
        assert_eq!(text.contains("\"error\""), !done, "{text}");
    }
}

#[test]
fn a_client_that_leaves_is_told_of_and_nobody_is_blamed() {
    let sim = world();
    sim.set_upstream("first:1", |_| {
        let wait = || PeerStep::Wait(Duration::from_secs(1));
        vec![
            PeerStep::head(200, "text/event-stream"),
            chunk("a", "null"),
            wait(),
            chunk("b", "null"),
            wait(),
            chunk("c", "null"),
        ]
    });
    let request = call("m", ",\"stream\":true");
    serve(&sim, Kind::Model, vec![(request, Client::Leaves(1))]);
    assert_eq!(records(&sim), ["call 200 client_left"]);
    assert_eq!(total(&sim, "outcome=\"client_left\""), 1);
    assert_eq!(total(&sim, "spillway_provider_transitions_total"), 0);
}

#[test]
fn a_stream_begins_at_once_on_an_instance_that_has_something_else_to_do() {
    let sim = world();
    sim.set_store_distance(Duration::from_millis(1));
    sim.set_upstream("first:1", |_| {
        vec![
            PeerStep::head(200, "text/event-stream"),
            chunk("hi", "\"stop\""),
            PeerStep::piece("data: [DONE]\n\n"),
        ]
    });
    // Its limit is counted, and the task that adds counts up stands beside the call's own.
    let request = call("m", ",\"stream\":true");
    let answers = serve(&sim, Kind::Model, vec![(request, Client::Reads)]);
    assert!(answers[0].is_complete);
    let log = sim.log_lines().join("\n");
    // Two round trips of the store, and a connection that is opened.
    assert!(log.contains(" ms=5 "), "{log}");
}

#[test]
fn whoever_is_refused_has_a_record_too() {
    let sim = world();
    sim.set_upstream("first:1", |_| answer());
    let client = Client::Reads;
    let nobody = SimRequest::json("/llm/v1/chat/completions", "{}");
    let requests = vec![
        (nobody, client),
        (call("dear", ""), client),
        (call("dear", ""), client),
        (SimRequest::get("/llm/v1/none"), client),
    ];
    serve(&sim, Kind::Model, requests);
    assert_eq!(
        records(&sim),
        [
            "request 401 unauthorized",
            "call 200 ok",
            "request 429 rate_limited",
            "request 404 not_found"
        ]
    );
}

#[test]
fn what_the_second_step_refuses_the_first_takes_back() {
    let sim = world();
    sim.set_upstream("first:1", |_| answer());
    let large = format!(",\"padding\":\"{}\"", "x".repeat(100_000));
    let client = Client::Reads;
    // The consumer may three times a minute, the dear model once.
    let requests = ["dear", "dear", "dear", "cheap", "cheap", "cheap"];
    let requests = requests.map(|model| (call(model, &large), client)).to_vec();
    let statuses: Vec<u16> = serve(&sim, Kind::Model, requests)
        .iter()
        .map(|answer| answer.status)
        .collect();
    assert_eq!(statuses, [200, 429, 429, 200, 200, 429]);
}

#[test]
fn a_model_that_no_route_takes_is_told_with_what_is_near() {
    let several = |names: &str| {
        format!(
            r#"{{ "models": [{{ "name": "llm", "routes": [{{ "match": {{ "model": [{names}] }}, "targets": [{{ "provider": "first" }}] }}] }}],
                "providers": [{{ "name": "first", "base_url": "http://first:1/v1" }}] }}"#
        )
    };
    for (names, asked, hint) in [
        (
            r#""gpt-4o", "gpt-4.1""#,
            "gpt-4oo",
            "Did you mean `gpt-4o` or `gpt-4.1`?",
        ),
        (r#""gpt-4o""#, "llama", "GET /v1/models lists"),
        (r#""gpt-*""#, "llama", "names by pattern"),
    ] {
        let sim = world_of(&several(names));
        let answers = serve(&sim, Kind::Model, vec![(chat(asked, ""), Client::Reads)]);
        let text = answers[0].text();
        assert_eq!(answers[0].status, 404, "{text}");
        assert!(text.contains(hint), "{text}");
    }
}

#[test]
fn a_refused_batch_is_told_with_its_route() {
    let sim = world_of(
        r#"{ "consumers": [{ "name": "team", "credentials": [{ "api_key": "sk-team" }], "models": ["gpt*"] }],
             "models": [{ "name": "llm", "policies": { "auth": ["team"] },
               "routes": [{ "name": "all", "targets": [{ "provider": "first" }] }] }],
             "providers": [{ "name": "first", "base_url": "http://first:1/v1" }] }"#,
    );
    let request =
        SimRequest::json("/llm/v1/batches", "{}").header("authorization", "Bearer sk-team");
    let answers = serve(&sim, Kind::Model, vec![(request, Client::Reads)]);
    assert_eq!(answers[0].status, 403, "{}", answers[0].text());
    let log = sim.log_lines().join("\n");
    assert!(log.contains("route=\"all\" status=403"), "{log}");
}

#[test]
fn a_call_that_is_too_long_is_refused_before_anybody_is_asked_or_goes_to_who_takes_it() {
    let window = |on_exceeded: &str| {
        CONFIGURATION.replace(
            r#"{ "provider": "first" }"#,
            &format!(
                r#"{{ "provider": "first", "context_window": {{ "max_input_tokens": 50, "on_exceeded": "{on_exceeded}" }} }}"#
            ),
        )
    };
    let long = || {
        let body = serde_json::json!({ "model": "m", "messages": [{ "role": "user", "content": "word ".repeat(100) }] });
        SimRequest::json("/llm/v1/chat/completions", &body.to_string())
            .header("authorization", "Bearer sk-team")
    };
    let sim = world_of(&window("refuse"));
    sim.set_upstream("first:1", |_| answer());
    let requests = vec![(long(), Client::Reads), (call("m", ""), Client::Reads)];
    let answers = serve(&sim, Kind::Model, requests);
    let told = answers[0].text();
    assert_eq!(answers[0].status, 400, "{told}");
    for part in [
        "\"code\":\"context_length_exceeded\"",
        "maximum context length is 50 tokens",
        "invalid_request_error",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(answers[1].status, 200);
    assert_eq!(sim.asked().len(), 1);
    assert_eq!(
        records(&sim),
        ["request 400 context_length_exceeded", "call 200 ok"]
    );

    let sim = world_of(&window("next"));
    sim.set_upstream("second:2", |_| answer());
    let answers = serve(&sim, Kind::Model, vec![(long(), Client::Reads)]);
    assert_eq!(answers[0].status, 200, "{}", answers[0].text());
    assert_eq!(sim.asked().len(), 1);
}

#[test]
fn what_is_no_call_does_not_skip_a_key() {
    let two = CONFIGURATION.replace(r#"["sk-first"]"#, r#"["sk-first", "sk-other"]"#);
    let sim = world_of(&two);
    sim.set_upstream("first:1", |_| answer());
    let models = || SimRequest::get("/llm/v1/models").header("authorization", "Bearer sk-team");
    let requests = [models(), call("m", ""), models(), call("m", "")];
    let requests = requests.map(|request| (request, Client::Reads));
    serve(&sim, Kind::Model, requests.into());
    let keys: Vec<_> = sim
        .asked()
        .iter()
        .filter(|asked| asked.path_and_query.ends_with("/chat/completions"))
        .map(|asked| asked.headers.text("authorization").map(str::to_owned))
        .collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1], "they are used in turn");
}

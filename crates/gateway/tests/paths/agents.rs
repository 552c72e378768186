//! Ingress.

use std::time::Duration;

use spillway_platform::SendError;
use spillway_platform_sim::{PeerStep, SimRequest};

use super::{Client, Kind, records, serve, total, world};

const EVENT: &str = "data: {\"event\": \"message\", \"conversation_id\": \"c\"}\n\n";
const END: &str = "data: {\"event\": \"message_end\", \"metadata\": {\"usage\": {\"prompt_tokens\": 3, \"completion_tokens\": 4}}}\n\n";

fn run() -> SimRequest {
    SimRequest::json(
        "/v1/chat-messages",
        r#"{"inputs":{},"query":"q","user":"ann"}"#,
    )
    .header("authorization", "Bearer app-1")
}

fn of_app(request: SimRequest) -> SimRequest {
    request.header("x-app-id", "a")
}

#[test]
fn every_kind_of_end_is_one_record() {
    let events = PeerStep::head(200, "text/event-stream");
    let cases = [
        (
            vec![events.clone(), PeerStep::piece(EVENT), PeerStep::piece(END)],
            Client::Reads,
            "run 200 ok",
        ),
        (
            vec![
                events.clone(),
                PeerStep::piece(EVENT),
                PeerStep::Fail(SendError::Reset("cut".to_owned())),
            ],
            Client::Reads,
            "run 200 stream_broken",
        ),
        (
            vec![
                events.clone(),
                PeerStep::piece(EVENT),
                PeerStep::Wait(Duration::from_secs(700)),
                PeerStep::piece(END),
            ],
            Client::Reads,
            "run 200 stream_broken",
        ),
        (
            vec![
                events.clone(),
                PeerStep::piece(EVENT),
                PeerStep::Wait(Duration::from_secs(1)),
                PeerStep::piece(EVENT),
                PeerStep::piece(END),
            ],
            Client::Leaves(1),
            "run 200 client_left",
        ),
        (
            vec![PeerStep::head(401, "application/json")],
            Client::Reads,
            "run 401 ok",
        ),
        (
            vec![PeerStep::Fail(SendError::Connect("refused".to_owned()))],
            Client::Reads,
            "request 502 upstream_refused",
        ),
        (
            vec![PeerStep::Fail(SendError::FirstByteTimeout)],
            Client::Reads,
            "request 504 upstream_timeout",
        ),
    ];
    for (script, client, expected) in cases {
        let sim = world();
        let told = script.clone();
        sim.set_upstream("api:5001", move |_| script.clone());
        let answers = serve(&sim, Kind::Agent, vec![(run(), client)]);
        assert_eq!(records(&sim), [expected], "{told:?}");
        assert_eq!(total(&sim, "spillway_requests_total"), 1, "{told:?}");
        let is_error_told = answers[0].text().contains("\"event\":\"error\"");
        let is_broken = expected.ends_with("stream_broken");
        assert_eq!(is_error_told, is_broken, "{}", answers[0].text());
    }
}

#[test]
fn a_place_is_kept_until_the_answers_end_and_then_given_back() {
    let sim = world();
    sim.set_upstream("api:5001", |_| {
        let head = PeerStep::head(200, "text/event-stream");
        vec![
            head,
            PeerStep::piece(EVENT),
            PeerStep::Wait(Duration::from_secs(10)),
            PeerStep::piece(END),
        ]
    });
    let client = Client::Reads;
    let requests = vec![
        (of_app(run()), client),
        (of_app(run()), client),
        (of_app(run()), client),
    ];
    let answers = serve(&sim, Kind::Agent, requests);
    // One after the other each finds the one place free; the third is above the window's two.
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(
        records(&sim),
        ["run 200 ok", "run 200 ok", "request 429 rate_limited"]
    );
    assert_eq!(total(&sim, "spillway_agent_tokens_total"), 14);
}

#[test]
fn without_the_store_requests_pass_and_it_is_told() {
    let sim = world();
    sim.set_upstream("api:5001", |_| {
        vec![PeerStep::head(200, "application/json")]
    });
    sim.oracle().set_gone(true);
    let requests = (0..5).map(|_| (of_app(run()), Client::Reads)).collect();
    let answers = serve(&sim, Kind::Agent, requests);
    assert!(answers.iter().all(|answer| answer.status == 200));
    let log = sim.log_lines().join("\n");
    assert!(
        log.contains("the store does not answer and is left alone"),
        "{log}"
    );
}

#[test]
fn a_large_body_is_not_waited_for_where_the_head_is_refused() {
    let sim = world();
    sim.set_upstream("api:5001", |_| {
        vec![PeerStep::head(200, "application/json")]
    });
    let slow = || {
        let body = vec![
            PeerStep::Wait(Duration::from_secs(50)),
            PeerStep::piece("{}"),
        ];
        of_app(SimRequest::new(http::Method::POST, "/v1/files/upload"))
            .header("content-length", "1000")
            .body(body)
    };
    let client = Client::Reads;
    let requests = vec![
        (of_app(run()), client),
        (of_app(run()), client),
        (slow(), client),
    ];
    let answers = serve(&sim, Kind::Agent, requests);
    assert_eq!(answers[2].status, 429);
    assert!(
        sim.log_lines()
            .last()
            .unwrap()
            .contains("reason=rate_limited ms=0 ")
    );
}

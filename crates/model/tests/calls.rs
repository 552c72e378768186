//! Calls through their targets: what the client gets, and what each provider was asked.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod scripted;

use std::time::Duration;

use proptest::prelude::*;
use scripted::{Client, ScriptedSender, Step, run};
use spillway_config::Gateway;
use spillway_failover::Failure;
use spillway_model::{
    Call, Catalogue, Completed, ModelRequest, Operation, StreamEnd, StreamSummary,
};
use spillway_platform::{Clock, Headers, SendError};
use spillway_telemetry::Reason;

const JSON: &str = "application/json";
const SSE: &str = "text/event-stream";
const ANSWER: &str = r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;

fn catalogue(extra_route: &str) -> Catalogue {
    let document = format!(
        r#"{{"models":[{{"name":"llm","routes":[{{"targets":[
            {{"provider":"a","timeout":"20s","first_token_timeout":"5s"}},
            {{"provider":"b","model":"mapped","timeout":"20s","first_token_timeout":"5s"}}]{extra_route}}}]}}],
          "providers":[{{"name":"a","base_url":"http://a/v1","api_keys":["key-a-1"]}},
                       {{"name":"b","base_url":"https://b:8443/api/","api_keys":["key-b-1"]}}]}}"#
    );
    Catalogue::new(&serde_json::from_str::<Gateway>(&document).unwrap()).unwrap()
}

fn with_call<T>(
    sender: &ScriptedSender,
    extra_route: &str,
    body: &str,
    operation: Operation,
    serve: impl FnOnce(Call<'_, ScriptedSender, scripted::ScriptedClock>) -> T,
) -> T {
    let catalogue = catalogue(extra_route);
    let (api, _) = catalogue.api("/llm/v1").unwrap();
    let request = ModelRequest::parse(body.as_bytes(), operation).unwrap();
    let route = api.route(&request.model).unwrap();
    let mut headers = Headers::default();
    headers.append("user-agent", "test");
    serve(Call {
        sender,
        clock: &sender.clock,
        route,
        operation,
        request: &request,
        headers: &headers,
        arrived: sender.clock.now(),
        number: 0,
    })
}

fn complete(scripts: Vec<Vec<Step>>, extra_route: &str) -> (Completed, ScriptedSender) {
    let sender = ScriptedSender::new(scripts);
    let body = r#"{"model":"m","messages":[]}"#;
    let clock = sender.clock.clone();
    let completed = with_call(
        &sender,
        extra_route,
        body,
        Operation::ChatCompletions,
        |call| run(&clock, call.complete()),
    );
    (completed, sender)
}

fn stream_with(
    scripts: Vec<Vec<Step>>,
    body: &str,
    mut client: Client,
) -> (StreamSummary, Client, ScriptedSender) {
    let sender = ScriptedSender::new(scripts);
    client.clock = sender.clock.clone();
    let clock = sender.clock.clone();
    let summary = with_call(&sender, "", body, Operation::ChatCompletions, |call| {
        run(&clock, call.stream(&mut client))
    });
    (summary, client, sender)
}

fn stream(scripts: Vec<Vec<Step>>) -> (StreamSummary, Client) {
    let (summary, client, _) =
        stream_with(scripts, r#"{"model":"m","stream":true}"#, Client::default());
    (summary, client)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn text(text: &str) -> Step {
    Step::Bytes(text.as_bytes().to_vec())
}

fn answers() -> Vec<Step> {
    vec![Step::Head(200, JSON), text(ANSWER)]
}

fn chunk(content: &str) -> String {
    format!(
        "data: {{\"id\":\"1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n"
    )
}

const ROLE: &str = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const STOP: &str =
    "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn streams() -> Vec<Step> {
    vec![
        Step::Head(200, SSE),
        text(ROLE),
        text(&chunk("hi")),
        text(STOP),
        text(DONE),
    ]
}

fn streamed_text() -> String {
    format!("{ROLE}{}{STOP}{DONE}", chunk("hi"))
}

/// Every way for a provider to fail before content, with what it counts as.
fn failures(kind: &'static str) -> Vec<(Vec<Step>, Failure)> {
    let fail = |error| vec![Step::Fail(error)];
    let mut failures = vec![
        (
            fail(SendError::Connect("refused".to_owned())),
            Failure::ConnectError,
        ),
        (fail(SendError::ConnectTimeout), Failure::ConnectError),
        (fail(SendError::HostNotAllowed), Failure::ConnectError),
        (fail(SendError::FirstByteTimeout), Failure::Timeout),
        (fail(SendError::Reset("garbage".to_owned())), Failure::Reset),
        (
            vec![
                Step::Head(200, kind),
                Step::Fail(SendError::Reset("cut".to_owned())),
            ],
            Failure::Reset,
        ),
        (vec![Step::Head(200, kind)], Failure::Truncated),
        (vec![Step::Head(200, JSON), text("")], Failure::Truncated),
        (vec![Step::Head(200, JSON), text("<html>")], Failure::Reset),
        (
            vec![Step::Head(200, JSON), text(r#"{"error":{"message":"x"}}"#)],
            Failure::Status(502),
        ),
    ];
    for status in [429, 500, 502, 503, 529] {
        failures.push((
            vec![Step::Head(status, JSON), text("{}")],
            Failure::Status(status),
        ));
    }
    failures
}

#[test]
fn a_complete_answer_comes_from_the_first_target_that_gives_one() {
    let (completed, sender) = complete(vec![answers()], "");
    assert_eq!(completed.answer.body, ANSWER);
    assert_eq!(
        (completed.answer.status.as_u16(), completed.answer.reason),
        (200, Reason::Ok)
    );
    assert_eq!(
        completed.usage.map(|usage| (usage.input, usage.output)),
        Some((1, 2))
    );
    assert!(
        completed.answer.headers.contains("x-request-id")
            && !completed.answer.headers.contains("set-cookie")
    );
    let request = &sender.requests.borrow()[0];
    assert_eq!(
        format!("{}{}", request.authority, request.path_and_query),
        "a/v1/chat/completions"
    );
    assert_eq!(
        request.headers.text("authorization"),
        Some("Bearer key-a-1")
    );
    assert_eq!(request.headers.text("user-agent"), Some("test"));
    assert_eq!(request.body, r#"{"model":"m","messages":[]}"#);

    for (failing, failure) in failures(JSON) {
        let (completed, sender) = complete(vec![failing.clone(), answers()], "");
        assert_eq!(completed.answer.body, ANSWER, "{failing:?}");
        assert_eq!(completed.answer.reason, Reason::Fallback);
        assert_eq!(completed.served.unwrap().provider, "b");
        let outcomes: Vec<_> = completed
            .attempts
            .iter()
            .map(|attempt| attempt.failure)
            .collect();
        assert_eq!(outcomes, [Some(failure), None], "{failing:?}");
        let request = &sender.requests.borrow()[1];
        assert_eq!(
            format!(
                "{}://{}{}",
                request.scheme, request.authority, request.path_and_query
            ),
            "https://b:8443/api/chat/completions"
        );
        assert_eq!(request.body, r#"{"model":"mapped","messages":[]}"#);
        assert_eq!(
            request.headers.text("authorization"),
            Some("Bearer key-b-1")
        );
    }
}

#[test]
fn a_provider_that_hangs_is_given_up_at_its_timeout() {
    for hanging in [
        vec![Step::Wait(seconds(99)), Step::Head(200, JSON)],
        vec![
            Step::Head(200, JSON),
            text("{"),
            Step::Wait(seconds(99)),
            text("}"),
        ],
    ] {
        let (completed, sender) = complete(vec![hanging, answers()], "");
        assert_eq!(completed.attempts[0].failure, Some(Failure::Timeout));
        assert_eq!(completed.answer.body, ANSWER);
        assert_eq!(sender.clock.now(), seconds(20));
    }
}

#[test]
fn the_clients_own_mistake_is_told_at_once_and_in_the_providers_words() {
    let error = r#"{"error":{"message":"bad value, key key-a-1","type":"invalid_request_error"}}"#;
    let (completed, sender) = complete(vec![vec![Step::Head(400, JSON), text(error)]], "");
    assert_eq!(sender.requests.borrow().len(), 1);
    assert_eq!(
        (completed.answer.status.as_u16(), completed.answer.reason),
        (400, Reason::UpstreamStatus)
    );
    assert_eq!(completed.answer.body, error.replace("key-a-1", "***"));
    let (completed, _) = complete(
        vec![vec![Step::Head(404, "text/html"), text("<h1>nope</h1>")]],
        "",
    );
    let told = String::from_utf8(completed.answer.body.to_vec()).unwrap();
    assert!(
        told.contains(r#""message":"The model provider answered 404 Not Found: <h1>nope</h1>""#),
        "{told}"
    );
}

#[test]
fn when_all_fail_the_answer_says_what_was_tried() {
    let refused = vec![Step::Fail(SendError::Connect(String::new()))];
    let (completed, _) = complete(
        vec![vec![Step::Head(503, JSON), text("{}")], refused.clone()],
        "",
    );
    let told = String::from_utf8(completed.answer.body.to_vec()).unwrap();
    assert!(told.contains("Tried: a: 503, b: connect_error"), "{told}");
    assert_eq!(
        (completed.answer.status.as_u16(), completed.answer.reason),
        (502, Reason::UpstreamRefused)
    );
    let (completed, _) = complete(
        vec![refused, vec![Step::Fail(SendError::HostNotAllowed)]],
        "",
    );
    let told = String::from_utf8(completed.answer.body.to_vec()).unwrap();
    assert!(
        told.contains(r#"Add \"https://b:8443\" to `allowed_outbound_hosts`"#),
        "{told}"
    );
    assert_eq!(completed.answer.reason, Reason::HostNotAllowed);
}

#[test]
fn attempts_and_conditions_are_bounded_by_the_route() {
    let busy = vec![Step::Head(503, JSON), text("{}")];
    let (completed, _) = complete(vec![busy.clone()], r#","fallback":{"max_attempts":1}"#);
    assert_eq!(completed.attempts.len(), 1);
    let (completed, _) = complete(vec![busy], r#","fallback":{"on":["connect_error"]}"#);
    assert_eq!(
        (completed.attempts.len(), completed.answer.status.as_u16()),
        (1, 503)
    );
    let hanging = vec![Step::Wait(seconds(99)), Step::Head(200, JSON)];
    let (completed, _) = complete(vec![hanging], r#","fallback":{"deadline":"10s"}"#);
    assert_eq!(
        (completed.attempts.len(), completed.answer.status.as_u16()),
        (1, 504)
    );
}

#[test]
fn a_stream_comes_from_the_first_target_that_gives_content() {
    let (summary, client) = stream(vec![streams()]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    assert_eq!(client.text, streamed_text());
    let mut all = failures(SSE);
    all.push((vec![Step::Head(200, SSE), text(ROLE)], Failure::Truncated));
    all.push((
        vec![Step::Head(200, SSE), text(ROLE), text(DONE)],
        Failure::Truncated,
    ));
    all.push((
        vec![
            Step::Head(200, SSE),
            text("data: {\"error\":{\"message\":\"x\"}}\n\n"),
        ],
        Failure::Status(502),
    ));
    all.push((
        vec![Step::Head(200, SSE), text("data: {oops\n\n")],
        Failure::Reset,
    ));
    all.push((
        vec![Step::Wait(seconds(6)), Step::Head(200, SSE)],
        Failure::FirstTokenTimeout,
    ));
    all.push((
        vec![
            Step::Head(200, SSE),
            text(ROLE),
            Step::Wait(seconds(6)),
            text(&chunk("x")),
        ],
        Failure::FirstTokenTimeout,
    ));
    for (failing, failure) in all {
        let (summary, client) = stream(vec![failing.clone(), streams()]);
        assert_eq!(
            summary.end,
            StreamEnd::Complete(Reason::Fallback),
            "{failing:?}"
        );
        assert_eq!(
            client.text,
            streamed_text(),
            "{failing:?}: nothing of the first target is seen"
        );
        assert_eq!(summary.attempts[0].failure, Some(failure), "{failing:?}");
        let (served, attempts, reason) = client.head.unwrap();
        assert_eq!(
            (served.provider.as_str(), attempts, reason),
            ("b", 2, Reason::Fallback)
        );
    }
}

#[test]
fn after_content_a_failure_is_told_in_the_stream_and_nobody_else_is_asked() {
    for (last, expected) in [
        (
            Step::Fail(SendError::Reset("cut".to_owned())),
            "The connection to the model broke",
        ),
        (
            Step::Fail(SendError::BetweenBytesTimeout),
            "The model stopped answering",
        ),
        (
            text("data: {\"error\":{\"message\":\"overloaded\",\n\ndata: "),
            "The connection to the model broke",
        ),
        (
            text("data: {\"error\":{\"message\":\"overloaded\"}}\n\n"),
            "overloaded",
        ),
    ] {
        let (summary, client) = stream(vec![vec![
            Step::Head(200, SSE),
            text(&chunk("hi")),
            last.clone(),
        ]]);
        assert!(matches!(summary.end, StreamEnd::Broken(_)), "{last:?}");
        let (before, told) = client.text.split_at(chunk("hi").len());
        assert_eq!(before, chunk("hi"));
        assert!(
            told.starts_with("data: {\"error\":{") && told.ends_with("}\n\n"),
            "{told}"
        );
        assert!(
            told.contains(expected) && !told.contains("[DONE]"),
            "{told}"
        );
    }
    // A clean end without `finish_reason` is a cut, too.
    let (summary, _) = stream(vec![vec![Step::Head(200, SSE), text(&chunk("hi"))]]);
    assert_eq!(summary.end, StreamEnd::Broken(Failure::Truncated));
    // With it, the missing `[DONE]` is supplied.
    let (summary, client) = stream(vec![vec![
        Step::Head(200, SSE),
        text(&chunk("hi")),
        text(STOP),
    ]]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    assert!(client.text.ends_with(DONE));
}

#[test]
fn a_client_is_kept_waiting_by_comments_and_still_served_by_the_second() {
    let slow = |time| {
        vec![
            Step::Wait(time),
            Step::Head(200, SSE),
            text(&chunk("hi")),
            text(STOP),
            text(DONE),
        ]
    };
    let sender = ScriptedSender::new(vec![slow(seconds(90)), slow(seconds(3))]);
    let mut client = Client {
        clock: sender.clock.clone(),
        ..Client::default()
    };
    let clock = sender.clock.clone();
    let route = r#","fallback":{"keep_alive":"2s"}"#;
    let body = r#"{"model":"m","stream":true}"#;
    let summary = with_call(&sender, route, body, Operation::ChatCompletions, |call| {
        run(&clock, call.stream(&mut client))
    });
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Fallback));
    assert_eq!(
        client.head.unwrap().0.provider,
        "a",
        "the head went out while the first was being asked"
    );
    assert!(
        client
            .text
            .starts_with(": keep-alive\n\n: keep-alive\n\n: keep-alive\n\ndata: {"),
        "{}",
        client.text
    );
    assert_eq!(
        client.times[..4],
        [seconds(2), seconds(4), seconds(6), seconds(8)]
    );
}

#[test]
fn when_all_fail_after_the_head_the_stream_says_so() {
    let sender = ScriptedSender::new(vec![
        vec![
            Step::Wait(seconds(4)),
            Step::Fail(SendError::Reset(String::new())),
        ],
        vec![
            Step::Head(503, JSON),
            text(r#"{"error":{"message":"busy"}}"#),
        ],
    ]);
    let mut client = Client {
        clock: sender.clock.clone(),
        ..Client::default()
    };
    let clock = sender.clock.clone();
    let body = r#"{"model":"m","stream":true}"#;
    let route = r#","fallback":{"keep_alive":"2s"}"#;
    let summary = with_call(&sender, route, body, Operation::ChatCompletions, |call| {
        run(&clock, call.stream(&mut client))
    });
    assert_eq!(summary.end, StreamEnd::Broken(Failure::Status(503)));
    assert!(
        client
            .text
            .ends_with("data: {\"error\":{\"message\":\"busy\"}}\n\n"),
        "{}",
        client.text
    );
}

#[test]
fn when_all_fail_before_the_head_the_client_gets_a_plain_answer() {
    let busy = || {
        vec![
            Step::Head(429, JSON),
            text(r#"{"error":{"message":"slow down"}}"#),
        ]
    };
    let (summary, client) = stream(vec![busy(), busy()]);
    let StreamEnd::Refused(answer) = summary.end else {
        panic!("{:?}", summary.end)
    };
    assert_eq!(
        (answer.status.as_u16(), answer.reason),
        (429, Reason::UpstreamStatus)
    );
    assert!(client.head.is_none());
}

#[test]
fn a_client_that_leaves_ends_the_call() {
    let leaving = Client {
        leaves_after: Some(1),
        ..Client::default()
    };
    let script = vec![
        Step::Head(200, SSE),
        text(&chunk("a")),
        text(&chunk("b")),
        text(STOP),
        text(DONE),
    ];
    let (summary, client, _) = stream_with(vec![script], r#"{"model":"m","stream":true}"#, leaving);
    assert_eq!(summary.end, StreamEnd::ClientLeft);
    assert_eq!(client.text, chunk("a"));
}

#[test]
fn silence_between_pieces_is_filled_with_comments_of_their_own_block() {
    let script = vec![
        Step::Head(200, SSE),
        text(&chunk("a")),
        Step::Wait(seconds(40)),
        text(STOP),
        text(DONE),
    ];
    let (_, client) = stream(vec![script]);
    assert_eq!(
        client.text,
        format!("{}: keep-alive\n\n: keep-alive\n\n{STOP}{DONE}", chunk("a"))
    );
}

#[test]
fn an_answer_in_one_piece_is_streamed_to_who_asked_for_a_stream() {
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let (summary, client, _) = stream_with(vec![answers()], body, Client::default());
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    let data: Vec<&str> = client
        .text
        .split_terminator("\n\n")
        .map(|block| block.strip_prefix("data: ").unwrap())
        .collect();
    assert_eq!(data.len(), 4, "{data:?}");
    let value = |index: usize| serde_json::from_str::<serde_json::Value>(data[index]).unwrap();
    assert_eq!(value(0)["object"], "chat.completion.chunk");
    assert_eq!(value(0)["choices"][0]["delta"]["content"], "hi");
    assert_eq!(value(1)["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (&value(2)["choices"], &value(2)["usage"]["total_tokens"]),
        (&serde_json::json!([]), &3.into())
    );
    assert_eq!(data[3], "[DONE]");
}

proptest! {
    #[test]
    fn whatever_a_provider_streams_the_client_gets_one_form(
        pieces in prop::collection::vec(prop_oneof![
            Just(ROLE.to_owned()), Just(chunk("x")), Just(STOP.to_owned()), Just(DONE.to_owned()),
            Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\r\n\r\n".to_owned()),
            Just(": c\nid: 7\nevent: message\r\n".to_owned()), Just("data:\n\n".to_owned()), Just("\u{feff}".to_owned()),
            Just("data: {\"error\":\"x\"}\n\n".to_owned()), "[ -~\r\n]{0,20}",
        ], 0..12),
        cut in 1_usize..30,
    ) {
        let whole: Vec<u8> = pieces.concat().into_bytes();
        let mut script = vec![Step::Head(200, SSE)];
        script.extend(whole.chunks(cut).map(|piece| Step::Bytes(piece.to_vec())));
        let (summary, client) = stream(vec![script, streams()]);
        prop_assert!(!client.text.contains('\r'));
        for block in client.text.split_terminator("\n\n") {
            prop_assert!(block.starts_with("data: ") && !block.contains('\n'), "{:?}", block);
        }
        if matches!(summary.end, StreamEnd::Complete(_)) {
            prop_assert!(client.text.ends_with(DONE));
            prop_assert_eq!(client.text.matches("[DONE]").count(), 1);
        }
    }
}

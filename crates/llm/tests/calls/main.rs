//! Calls through their targets: what the client gets, and what each provider was asked.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod assembled;
mod complete;
mod ends;
mod odd_json;
mod scripted;
mod secrets_in_errors;
mod streams;
mod told_errors;

use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use scripted::{Client, ScriptedSender, Step, run};
use spillway_config::Gateway;
use spillway_llm::{
    Call, CallFacts, CallProgress, Completed, ModelCatalogue, ModelRequest, Operation, StreamEnd,
    StreamSummary, Usage, passed_headers,
};
use spillway_platform::{BytesInHand, Clock, Headers, MAX_ANSWERS_IN_HAND, RequestHead, SendError};
use spillway_surface::Surface;
use spillway_telemetry::Reason;
use spillway_upstream::{AttemptRecord, Budget, Failure, Pool, PoolWatch, Transition};

const JSON: &str = "application/json";
const SSE: &str = "text/event-stream";
const ANSWER: &str = r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Watch(RefCell<Vec<Transition>>);

impl PoolWatch for Watch {
    fn changed(&self, _: &Arc<Pool>, transition: Transition) {
        self.0.borrow_mut().push(transition);
    }

    fn suspects(&self, _: &Arc<Pool>) {}
}

/// What a call came to, and its report.
struct Ended<T> {
    came_to: T,
    attempts: Vec<AttemptRecord>,
    usage: Option<Usage>,
}

impl<T> std::ops::Deref for Ended<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.came_to
    }
}

fn head() -> RequestHead {
    RequestHead {
        method: http::Method::POST,
        scheme: "http".to_owned(),
        authority: "gateway".to_owned(),
        path_and_query: "/llm/v1/chat/completions".to_owned(),
        headers: Headers::default(),
        peer: None,
    }
}

fn document(extra_route: &str) -> String {
    format!(
        r#"{{"models":[{{"name":"llm","routes":[{{"targets":[
            {{"provider":"a","timeout":"20s","first_token_timeout":"5s"}},
            {{"provider":"b","model":"mapped","timeout":"20s","first_token_timeout":"5s"}}]{extra_route}}}]}}],
          "providers":[{{"name":"a","base_url":"http://a/v1","api_keys":["key-a-1"]}},
                       {{"name":"b","base_url":"https://b:8443/api/","api_keys":["key-b-1"],
                        "forward_headers":["openai-organization"]}}]}}"#
    )
}

fn with_call<T>(
    sender: &ScriptedSender,
    extra_route: &str,
    body: &str,
    operation: Operation,
    serve: impl FnOnce(Call<'_, ScriptedSender, scripted::ScriptedClock, Watch>, &ModelRequest) -> T,
) -> Ended<T> {
    with_call_by(&document(extra_route), sender, body, operation, serve)
}

fn with_call_by<T>(
    document: &str,
    sender: &ScriptedSender,
    body: &str,
    operation: Operation,
    serve: impl FnOnce(Call<'_, ScriptedSender, scripted::ScriptedClock, Watch>, &ModelRequest) -> T,
) -> Ended<T> {
    let catalogue =
        ModelCatalogue::new(&serde_json::from_str::<Gateway>(document).unwrap()).unwrap();
    let (api, _) = catalogue.api("/llm/v1").unwrap();
    let request = ModelRequest::parse(&Bytes::copy_from_slice(body.as_bytes()), operation).unwrap();
    let head = head();
    let asked = CallFacts {
        model: Some(&request.model),
        path: "/v1/chat/completions",
        head: &head,
        consumer: None,
    };
    let route = api.route(&asked).unwrap();
    let mut from_client = Headers::default();
    for (name, value) in [
        ("user-agent", "test"),
        ("openai-organization", "org-1"),
        ("authorization", "Bearer key-of-the-client"),
    ] {
        from_client.append(name, value);
    }
    let progress = CallProgress::default();
    let call = Call {
        sender,
        clock: &sender.clock,
        watch: &Watch::default(),
        budget: &Budget::default(),
        route,
        operation,
        surface: Surface::OpenAi,
        model: &request.model,
        consumer: "",
        headers: &passed_headers(&from_client),
        forwardable: &catalogue.forwardable(&from_client),
        arrived: sender.clock.now(),
        number: 0,
        skips_first: false,
        input: None,
        in_hand: Arc::new(BytesInHand::new(MAX_ANSWERS_IN_HAND)),
        progress: &progress,
    };
    let came_to = serve(call, &request);
    let report = progress.report(sender.clock.now());
    Ended {
        came_to,
        attempts: report.attempts,
        usage: report.usage,
    }
}

fn complete(scripts: Vec<Vec<Step>>, extra_route: &str) -> (Ended<Completed>, ScriptedSender) {
    let sender = ScriptedSender::new(scripts);
    let body = r#"{"model":"m","messages":[]}"#;
    let clock = sender.clock.clone();
    let completed = with_call(
        &sender,
        extra_route,
        body,
        Operation::ChatCompletions,
        |call, request| run(&clock, call.complete(request)),
    );
    (completed, sender)
}

fn stream_with(
    scripts: Vec<Vec<Step>>,
    body: &str,
    mut client: Client,
) -> (Ended<StreamSummary>, Client, ScriptedSender) {
    let sender = ScriptedSender::new(scripts);
    client.clock = sender.clock.clone();
    let clock = sender.clock.clone();
    let summary = with_call(
        &sender,
        "",
        body,
        Operation::ChatCompletions,
        |call, request| run(&clock, call.stream(request, &mut client)),
    );
    (summary, client, sender)
}

fn stream(scripts: Vec<Vec<Step>>) -> (Ended<StreamSummary>, Client) {
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
        (fail(SendError::HostNotAllowed), Failure::HostNotAllowed),
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
    for status in [401, 402, 403, 408, 429, 500, 502, 503, 529] {
        failures.push((
            vec![Step::Head(status, JSON), text("{}")],
            Failure::Status(status),
        ));
    }
    failures
}

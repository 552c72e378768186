//! The failures: what each upstream does, asked for a whole answer and asked for a stream.

use serde_json::{Value, json};
use spillway_tests::standin::{Behaviour, Break, Event, EventStream, Gate, Reply, Step, Wait};

/// A row of the matrix.
pub struct Failure {
    /// What stands in the page.
    pub name: &'static str,
    /// What is wrong with the upstream.
    pub upstream: Upstream,
    /// Added to the failures on which a call goes on to the next target.
    pub also_on: &'static str,
    /// The upstream never goes on, so that the target's time limits are short.
    pub never_goes_on: bool,
    /// Not even a head comes.
    pub is_silent: bool,
    /// The stream's head goes out before the time for a first token is over.
    pub short_keep_alive: bool,
    /// The gateway probes the key at once: by the provider's list of models.
    pub is_probed: bool,
    /// The provider still lists its models with the key.
    pub key_is_good: bool,
}

/// What is wrong with an upstream.
#[derive(Clone)]
pub enum Upstream {
    /// Nobody listens.
    Refuses,
    /// Connections neither stand nor fail.
    BlackHole,
    /// Answers so.
    Answers(Box<Answers>),
}

/// How an upstream answers, asked for a whole answer and asked for a stream. `None`: there is no such failure.
#[derive(Clone)]
pub struct Answers {
    pub whole: Option<Behaviour>,
    pub streamed: Option<Behaviour>,
}

impl Failure {
    fn new(name: &'static str, upstream: Upstream) -> Self {
        Self {
            name,
            upstream,
            also_on: "",
            never_goes_on: false,
            is_silent: false,
            short_keep_alive: false,
            is_probed: false,
            key_is_good: false,
        }
    }

    fn always(name: &'static str, behaviour: Behaviour) -> Self {
        Self::each(name, behaviour.clone(), behaviour)
    }

    fn each(name: &'static str, whole: Behaviour, streamed: Behaviour) -> Self {
        let (whole, streamed) = (Some(whole), Some(streamed));
        Self::new(
            name,
            Upstream::Answers(Box::new(Answers { whole, streamed })),
        )
    }

    fn stream(name: &'static str, whole: Behaviour, shape: EventStream) -> Self {
        Self::each(name, whole, Behaviour::Stream(shape))
    }

    fn status(name: &'static str, status: u16) -> Self {
        Self::always(name, Behaviour::Error(status))
    }

    fn never_going_on(mut self) -> Self {
        self.never_goes_on = true;
        self
    }

    fn also_on(mut self, condition: &'static str) -> Self {
        self.also_on = condition;
        self
    }
}

/// All rows.
pub fn failures() -> Vec<Failure> {
    [
        connections(),
        answers(),
        within_success(),
        statuses(),
        refusals(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn connections() -> Vec<Failure> {
    let mut silent = Failure::always("silent: no head", Behaviour::Silent).never_going_on();
    silent.is_silent = true;
    vec![
        Failure::new("connection refused", Upstream::Refuses),
        Failure::new("black hole: no connection", Upstream::BlackHole),
        silent,
        Failure::always("reset before the head", Behaviour::Reset),
        Failure::always("close before the head", Behaviour::Close),
        Failure::each(
            "reset after the head",
            Behaviour::Raw(vec![Step::text(json_head(1000)), Step::Reset]),
            Behaviour::reset_after_head(),
        ),
        Failure::each(
            "reset after 3 events",
            events_unasked(&[], Step::Reset),
            Behaviour::reset_after_events(3),
        ),
        Failure::always("garbage: no HTTP", Behaviour::Garbage),
        Failure::always("garbage: 200 with a web page", Behaviour::not_json()),
    ]
}

fn answers() -> Vec<Failure> {
    let (new, never) = (EventStream::new, Wait::Release(Gate::new()));
    let part = "{\"id\":\"x\",";
    let cut = |length| Step::text(format!("{}{part}", json_head(length)));
    let error_object = json!({"error": {"message": "The engine stopped.", "type": "server_error",
        "param": null, "code": "scripted"}});
    let mut head_gone_out = Failure::new(
        "slow first token, longer than `keep_alive`",
        Upstream::Answers(Box::new(Answers {
            whole: None,
            streamed: Some(Behaviour::Stream(new().wait_before(1, never.clone()))),
        })),
    )
    .never_going_on();
    head_gone_out.short_keep_alive = true;
    vec![
        Failure::stream(
            "empty 200",
            Behaviour::empty(),
            new().cut_after(0, Break::Clean),
        ),
        Failure::stream(
            "truncated: connection closed",
            Behaviour::Raw(vec![cut(1000), Step::Close]),
            new().cut_after(3, Break::Close),
        ),
        Failure::stream(
            "truncated: clean end",
            Behaviour::Raw(vec![cut(part.len())]),
            new().cut_after(3, Break::Clean),
        ),
        Failure::stream(
            "slow first token",
            Behaviour::Raw(vec![cut(1000), Step::Hold]),
            new().wait_before(1, never.clone()),
        )
        .never_going_on(),
        head_gone_out,
        Failure::stream(
            "stops after 3 events",
            events_unasked(&[], Step::Hold),
            new().wait_before(3, never),
        )
        .never_going_on(),
        Failure::stream(
            "error event first",
            Behaviour::Reply(Reply::json(200, &error_object)),
            new().error_after(0),
        ),
        Failure::stream(
            "error event in mid-stream",
            events_unasked(&[error_object], Step::text("0\r\n\r\n")),
            new().error_after(3),
        ),
    ]
}

/// What tells of a failure although it came with 200.
fn within_success() -> Vec<Failure> {
    let coded = |code: u16, message: &str| {
        let error = json!({"error": {"code": code, "message": message}});
        Behaviour::Reply(Reply::json(200, &error))
    };
    let ended = |reason: &str, error: Value| {
        let mut document = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "first",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": ""},
                "finish_reason": reason}]});
        beside(&mut document, error);
        Behaviour::Reply(Reply::json(200, &document))
    };
    let in_stream = |reason: &str, error: Value| {
        let mut chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "first",
            "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]});
        beside(&mut chunk, error);
        let body = EventStream::new().body(&[Event::data(chunk.to_string())]);
        Behaviour::Reply(
            Reply::new(200)
                .header("Content-Type", "text/event-stream")
                .body(body),
        )
    };
    let stopped = || json!({"message": "The engine stopped."});
    let refused = json!({"error": {"message": "Unrecognized request argument supplied: stream_options",
        "type": "invalid_request_error"}});
    let refuses_options = Failure::new(
        "400, refuses `stream_options`",
        Upstream::Answers(Box::new(Answers {
            whole: None,
            streamed: Some(Behaviour::Reply(Reply::json(400, &refused))),
        })),
    );
    vec![
        Failure::always(
            "200 with a coded error, 400",
            coded(400, "No such temperature."),
        ),
        Failure::always("200 with a coded error, 429", coded(429, "Slow down.")),
        Failure::always("200 with a coded error, 503", coded(503, "Busy.")),
        Failure::each(
            "finish reason `network_error`",
            ended("network_error", Value::Null),
            in_stream("network_error", Value::Null),
        ),
        Failure::each(
            "error beside the choices",
            ended("error", stopped()),
            in_stream("error", stopped()),
        ),
        refuses_options,
    ]
}

fn statuses() -> Vec<Failure> {
    let limited = |seconds: &str| {
        let error = json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}});
        Behaviour::Reply(Reply::json(429, &error).header("Retry-After", seconds))
    };
    let refused_call = |name, status| {
        let mut failure = Failure::status(name, status);
        failure.is_probed = true;
        failure.key_is_good = true;
        failure
    };
    let refused_key = |name, status| {
        let mut failure = Failure::status(name, status);
        failure.is_probed = true;
        failure
    };
    vec![
        Failure::status("400", 400),
        refused_call("401 for this call", 401),
        refused_key("401 for whatever is asked", 401),
        Failure::status("402", 402),
        refused_call("403 for this call", 403),
        refused_key("403 for whatever is asked", 403),
        Failure::status("404", 404),
        Failure::status("408", 408),
        Failure::status("413", 413),
        Failure::status("429", 429),
        Failure::always("429, `Retry-After: 1`", limited("1")),
        Failure::always("429, `Retry-After: 3600`", limited("3600")),
        Failure::status("500", 500),
        Failure::status("502", 502),
        Failure::status("503", 503),
        Failure::status("529", 529),
    ]
}

fn refusals() -> Vec<Failure> {
    let refused = |code: &str| {
        let error =
            json!({"error": {"message": "No.", "type": "invalid_request_error", "code": code}});
        Behaviour::Reply(Reply::json(400, &error))
    };
    let filtered = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "first",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ""},
            "finish_reason": "content_filter"}]});
    let emptied = Behaviour::Reply(Reply::json(200, &filtered));
    let too_long = refused("context_length_exceeded");
    let unwanted = refused("content_filter");
    vec![
        Failure::always("400, context length", too_long.clone()),
        Failure::always("400, context length, in `on`", too_long).also_on("context_length"),
        Failure::always("400, content filter", unwanted.clone()),
        Failure::always("400, content filter, in `on`", unwanted).also_on("content_filter"),
        Failure::always("200 emptied by the content filter, in `on`", emptied)
            .also_on("content_filter"),
    ]
}

/// Puts an error into a document, if there is one.
fn beside(document: &mut Value, error: Value) {
    if let (Value::Object(members), false) = (document, error.is_null()) {
        members.insert("error".to_owned(), error);
    }
}

fn json_head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
}

/// A stream though none was asked for: three events and these, then this step.
fn events_unasked(further: &[Value], last: Step) -> Behaviour {
    let deltas = [
        json!({"role": "assistant", "content": ""}),
        json!({"content": "first "}),
        json!({"content": "heard "}),
    ];
    let chunk = |delta| {
        json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "first",
            "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    };
    let events: Vec<Event> = deltas
        .map(chunk)
        .iter()
        .chain(further)
        .map(|event| Event::data(event.to_string()))
        .collect();
    let body = String::from_utf8_lossy(&EventStream::new().body(&events)).into_owned();
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let length = body.len();
    Behaviour::Raw(vec![
        Step::text(format!("{head}{length:x}\r\n{body}\r\n")),
        last,
    ])
}

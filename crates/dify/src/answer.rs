//! A run's answer, read while it goes by.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;
use spillway_sse::Reader;
use spillway_tokens::{Hundredths, weigh};

use crate::{ResponseMode, Run, RunOutcome, Tokens};

/// The largest event, or blocking answer, that is read: far above any text, below what an instance has. What is
/// larger goes by unread.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What one of these events says is kept; all others are only counted. A text that mentions one is read for nothing.
const REPORTED_EVENTS: [&str; 5] = [
    "message_end",
    "workflow_finished",
    "workflow_paused",
    "human_input_required",
    "\"error\"",
];

/// What an answer is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `text/event-stream`.
    Events,
    /// `application/json`.
    Json,
}

impl Form {
    /// By the media type, in lower case; `None` for one that no run is told in.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "text/event-stream" => Some(Self::Events),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The mode that answers so.
    pub const fn mode(self) -> ResponseMode {
        match self {
            Self::Events => ResponseMode::Streaming,
            Self::Json => ResponseMode::Blocking,
        }
    }
}

/// Reads a run's answer piece by piece. What comes out depends on the bytes alone, never on how they were cut.
#[derive(Debug)]
pub struct AnswerReader {
    run: Run,
    /// What its text weighs, in hundredths of a token.
    weight: Hundredths,
    /// Whether `message_end` told the tokens: then a workflow's sum is the same tokens again.
    has_split: bool,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Events(Reader),
    Json(Vec<u8>),
    /// Too large.
    Unread,
}

/// An event, or a blocking answer, as far as it is of interest.
#[derive(Debug, Deserialize)]
struct RunEvent<'a> {
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    conversation_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    workflow_run_id: Option<Cow<'a, str>>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(default)]
    total_tokens: Option<u64>,
}

impl AnswerReader {
    /// Reads an answer of this form.
    pub fn new(form: Form) -> Self {
        Self {
            run: Run::default(),
            weight: 0,
            has_split: false,
            body: match form {
                Form::Events => Body::Events(Reader::with_limit(MAX_BYTES)),
                Form::Json => Body::Json(Vec::new()),
            },
        }
    }

    /// Reads the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        match &mut self.body {
            Body::Events(reader) => {
                let fits = reader.push(piece).is_ok();
                self.read_events();
                if !fits {
                    self.body = Body::Unread;
                }
            }
            Body::Json(whole) if whole.len().saturating_add(piece.len()) <= MAX_BYTES => {
                whole.extend_from_slice(piece);
            }
            Body::Json(_) => self.body = Body::Unread,
            Body::Unread => {}
        }
    }

    /// Whether the event that closes the stream has come.
    pub fn is_closed(&self) -> bool {
        self.run.outcome.is_an_end()
    }

    /// Says that the answer ended, or broke off.
    pub fn finish(mut self) -> Run {
        match &mut self.body {
            Body::Events(reader) => {
                if reader.finish().is_ok() {
                    self.read_events();
                }
            }
            Body::Json(whole) => {
                let whole = std::mem::take(whole);
                self.read_answer(&whole);
            }
            Body::Unread => {}
        }
        self.run.estimated_output = self.weight.div_ceil(100);
        if matches!(self.body, Body::Unread) && !self.run.outcome.is_an_end() {
            self.run.outcome = RunOutcome::Unread;
        }
        self.run
    }

    fn read_events(&mut self) {
        loop {
            let Body::Events(reader) = &mut self.body else {
                return;
            };
            let Some(event) = reader.next_event() else {
                return;
            };
            let is_first = self.run.events == 0;
            self.run.events = self.run.events.saturating_add(1);
            self.weight = self.weight.saturating_add(weight_of_text(&event.data));
            let is_named = || {
                REPORTED_EVENTS
                    .iter()
                    .any(|name| memmem::find(&event.data, name.as_bytes()).is_some())
            };
            if is_first || is_named() {
                self.read_event(&event.data);
            }
        }
    }

    fn read_answer(&mut self, body: &[u8]) {
        let Ok(said) = serde_json::from_slice::<RunEvent<'_>>(body) else {
            self.run.outcome = RunOutcome::Unread;
            return;
        };
        self.keep_names(&said);
        self.keep_tokens(&said);
        self.weight = text_after(body, b"\"answer\"").map_or(0, weigh);
        self.run.outcome = match said.data.as_ref().and_then(|data| data.status.as_deref()) {
            Some(status) => workflow_outcome(status),
            None => RunOutcome::Succeeded,
        };
    }

    fn read_event(&mut self, data: &[u8]) {
        let Ok(said) = serde_json::from_slice::<RunEvent<'_>>(data) else {
            return;
        };
        self.keep_names(&said);
        let outcome = match said.event.as_deref() {
            Some("message_end") => RunOutcome::Succeeded,
            Some("workflow_finished") => {
                let status = said.data.as_ref().and_then(|data| data.status.as_deref());
                workflow_outcome(status.unwrap_or("succeeded"))
            }
            Some("workflow_paused" | "human_input_required") => RunOutcome::Paused,
            Some("error") => RunOutcome::Error,
            _ => return,
        };
        self.keep_tokens(&said);
        // A chat flow ends twice: its workflow, then its message. The first failure stands.
        let stands = matches!(self.run.outcome, RunOutcome::Failed | RunOutcome::Error);
        if !stands {
            self.run.outcome = outcome;
        }
    }

    fn keep_names(&mut self, said: &RunEvent<'_>) {
        let keep = |kept: &mut Option<String>, name: Option<&str>| {
            if kept.is_none() {
                *kept = name.filter(|name| !name.is_empty()).map(str::to_owned);
            }
        };
        keep(&mut self.run.conversation, said.conversation_id.as_deref());
        keep(&mut self.run.workflow_run, said.workflow_run_id.as_deref());
    }

    fn keep_tokens(&mut self, said: &RunEvent<'_>) {
        let usage = said.metadata.as_ref().and_then(|meta| meta.usage.as_ref());
        if let Some(Usage {
            prompt_tokens: Some(input),
            completion_tokens: Some(output),
        }) = usage
        {
            self.has_split = true;
            self.run.tokens = Some(Tokens::Split {
                input: *input,
                output: *output,
            });
        } else if let Some(total) = said.data.as_ref().and_then(|data| data.total_tokens)
            && !self.has_split
        {
            self.run.tokens = Some(Tokens::Total(total));
        }
    }
}

/// What a piece of the answer's text weighs: `message`, `agent_message` and, of a workflow, `text_chunk` have one.
fn weight_of_text(data: &[u8]) -> Hundredths {
    let has = |name: &[u8]| memmem::find(data, name).is_some();
    let key: &[u8] = if has(b"\"message\"") || has(b"\"agent_message\"") {
        b"\"answer\""
    } else if has(b"\"text_chunk\"") {
        b"\"text\""
    } else {
        return 0;
    };
    text_after(data, key).map_or(0, weigh)
}

/// The text that this key has, with what follows it of one event cut off.
fn text_after<'d>(data: &'d [u8], key: &[u8]) -> Option<&'d [u8]> {
    let at = memmem::find(data, key)?.saturating_add(key.len());
    let value = data.get(at..)?.trim_ascii_start().strip_prefix(b":")?;
    let text = value.trim_ascii_start().strip_prefix(b"\"")?;
    let mut end = 0_usize;
    while let Some(at) = memchr::memchr2(b'"', b'\\', text.get(end..)?) {
        end = end.saturating_add(at);
        if text.get(end) == Some(&b'"') {
            break;
        }
        end = end.saturating_add(2);
    }
    text.get(..end)
}

fn workflow_outcome(status: &str) -> RunOutcome {
    match status {
        "failed" => RunOutcome::Failed,
        "stopped" => RunOutcome::Stopped,
        "paused" => RunOutcome::Paused,
        // `succeeded`, `partial-succeeded`, and what a later release may call it.
        _ => RunOutcome::Succeeded,
    }
}

//! What a provider's stream says, brought into the one form that every client reads.
//!
//! The form (measured against Dify's SDK, which drops text silently on any other): LF line ends, one `data:`
//! line a block, no `event`, `id` or `retry`, no comment in a block with data; a usage chunk, where the client
//! asked for one, with `choices: []` and last; `data: [DONE]` at the end.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use spillway_failover::Failure;
use spillway_sse::{Reader, write_event};

use crate::Usage;

/// So much is held back at most while no content has come.
const MAX_HELD_BYTES: usize = 1024 * 1024;

/// More choices than any provider gives.
const MAX_CHOICES: usize = 1024;

/// Reads one provider's stream and writes the client's.
#[derive(Debug)]
pub struct ChunkReader {
    reader: Reader,
    wants_usage: bool,
    minds_content_filter: bool,
    out: Vec<u8>,
    has_content: bool,
    /// Choices that have begun and not ended, and those that have ended.
    open_choices: BTreeSet<u64>,
    ended_choices: BTreeSet<u64>,
    done: bool,
    usage: Option<Usage>,
    /// The usage chunk as it will be sent: kept back, as it must come last.
    usage_chunk: Option<Vec<u8>>,
    /// `id`, `object`, `created` and `model` of the last chunk, for a usage chunk of our own.
    identity: ChunkIdentity,
}

/// Where a stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// More must come.
    Open,
    /// `[DONE]` came: nothing after it counts.
    Done,
    /// The provider told of an error, or sent what cannot be read.
    Failed(ProviderError),
}

/// An error inside a stream that had begun with 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// Its kind.
    pub failure: Failure,
    /// The provider's error object as JSON, where it sent one.
    pub error: Option<String>,
}

#[derive(Debug, Default)]
struct ChunkIdentity {
    id: Option<Box<RawValue>>,
    object: Option<Box<RawValue>>,
    created: Option<Box<RawValue>>,
    model: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

impl ChunkReader {
    /// A reader for a client that does or does not want the usage chunk.
    pub fn new(wants_usage: bool) -> Self {
        Self {
            reader: Reader::default(),
            wants_usage,
            minds_content_filter: false,
            out: Vec::new(),
            has_content: false,
            open_choices: BTreeSet::new(),
            ended_choices: BTreeSet::new(),
            done: false,
            usage: None,
            usage_chunk: None,
            identity: ChunkIdentity::default(),
        }
    }

    /// Whether a stream that a content filter ends before it said anything has failed.
    #[must_use]
    pub fn minding_content_filter(mut self, minds: bool) -> Self {
        self.minds_content_filter = minds;
        self
    }

    /// Takes the next piece of the provider's stream.
    pub fn push(&mut self, bytes: &[u8]) -> Progress {
        if self.done {
            return Progress::Done;
        }
        let read = self.reader.push(bytes);
        let progress = self.take_events();
        if progress == Progress::Open && read.is_err() {
            return Progress::Failed(ProviderError {
                failure: Failure::Reset,
                error: None,
            });
        }
        progress
    }

    /// Says that the provider's stream has ended cleanly. A stream that said neither `[DONE]` nor a
    /// `finish_reason` was cut short.
    pub fn finish(&mut self) -> Progress {
        if !self.done {
            // An oversized last line is as good as none.
            let _ = self.reader.finish();
            if let failed @ Progress::Failed(_) = self.take_events() {
                return failed;
            }
            if !self.done && !self.is_finished() {
                return Progress::Failed(ProviderError {
                    failure: Failure::Truncated,
                    error: None,
                });
            }
        }
        Progress::Done
    }

    /// What is ready to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// What ends a complete stream: the usage chunk, if wanted and known, and `[DONE]`.
    pub fn take_ending(&mut self) -> Vec<u8> {
        // Kept only for a client that wants it.
        if let Some(chunk) = self.usage_chunk.take() {
            write_event(&mut self.out, None, &chunk);
        }
        write_event(&mut self.out, None, b"[DONE]");
        self.take_output()
    }

    /// Whether text, a tool call, a refusal or the end has come: what a client has seen cannot be taken back.
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// Tokens, as far as the provider told.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn take_events(&mut self) -> Progress {
        while let Some(event) = self.reader.next_event() {
            if event.data.trim_ascii() == b"[DONE]" {
                self.done = true;
                return Progress::Done;
            }
            match self.take_event(&event.data) {
                Progress::Open => {}
                ended => return ended,
            }
        }
        Progress::Open
    }

    fn take_event(&mut self, data: &[u8]) -> Progress {
        match serde_json::from_slice::<Chunk<'_>>(data) {
            Ok(chunk) => self.take_chunk(data, &chunk),
            // Some engines forget the blank line between events: each line is a chunk then.
            Err(_) if memchr::memchr(b'\n', data).is_some() => {
                for line in data.split(|byte| *byte == b'\n') {
                    let line = line.trim_ascii();
                    if line == b"[DONE]" {
                        self.done = true;
                        return Progress::Done;
                    }
                    let progress = match serde_json::from_slice::<Chunk<'_>>(line) {
                        Ok(chunk) => self.take_chunk(line, &chunk),
                        Err(_) if line.is_empty() => Progress::Open,
                        Err(_) => unreadable(),
                    };
                    if progress != Progress::Open {
                        return progress;
                    }
                }
                Progress::Open
            }
            Err(_) if data.trim_ascii().is_empty() => Progress::Open,
            Err(_) => unreadable(),
        }
    }

    fn take_chunk(&mut self, data: &[u8], chunk: &Chunk<'_>) -> Progress {
        let choices = chunk.choices.as_deref().unwrap_or_default();
        if let Some(error) = chunk.error.filter(|error| error.get() != "null")
            && choices.is_empty()
        {
            return Progress::Failed(ProviderError {
                failure: Failure::Status(502),
                error: Some(error.get().to_owned()),
            });
        }
        let usage = chunk.usage.filter(|usage| usage.get().starts_with('{'));
        if let Some(Ok(usage)) = usage.map(|usage| serde_json::from_str::<Usage>(usage.get())) {
            self.usage = Some(usage);
        }
        if let Some(usage) = usage
            && self.wants_usage
        {
            // Also where it came along with text, or without `choices`: clients want it alone, last, and with them.
            self.usage_chunk = Some(self.usage_chunk_of(chunk, usage));
        }
        if choices.is_empty() {
            if usage.is_none() && chunk.choices.is_some() {
                // Azure's prompt filter results come so: harmless to every client.
                return self.pass_on(data);
            }
            return Progress::Open;
        }
        if self.wants_usage {
            self.remember(chunk);
        }
        if !self.has_content {
            if self.minds_content_filter && choices.iter().any(Choice::is_filtered) {
                return Progress::Failed(ProviderError {
                    failure: Failure::ContentFilter(200),
                    error: None,
                });
            }
            self.has_content = choices.iter().any(Choice::has_content);
        }
        for choice in choices {
            self.note(choice);
        }
        self.pass_on(data)
    }

    /// Whether every choice that has begun has ended, and one has.
    pub fn is_finished(&self) -> bool {
        self.open_choices.is_empty() && !self.ended_choices.is_empty()
    }

    fn note(&mut self, choice: &Choice<'_>) {
        let index = choice.index.unwrap_or_default();
        if choice.is_finished() {
            self.open_choices.remove(&index);
            self.ended_choices.insert(index);
        } else if !self.ended_choices.contains(&index) {
            self.open_choices.insert(index);
        }
    }

    fn pass_on(&mut self, data: &[u8]) -> Progress {
        // Until content comes the output is kept here: a provider that only ever sends empty chunks must not fill
        // the instance's memory.
        let held = self.out.len().saturating_add(data.len());
        if !self.has_content && (held > MAX_HELD_BYTES || self.open_choices.len() > MAX_CHOICES) {
            return unreadable();
        }
        write_event(&mut self.out, None, &one_line(data));
        Progress::Open
    }

    fn remember(&mut self, chunk: &Chunk<'_>) {
        if self.identity.id.is_none() {
            let owned = |value: Option<&RawValue>| value.map(ToOwned::to_owned);
            self.identity = ChunkIdentity {
                id: owned(chunk.id),
                object: owned(chunk.object),
                created: owned(chunk.created),
                model: owned(chunk.model),
            };
        }
    }

    fn usage_chunk_of(&self, chunk: &Chunk<'_>, usage: &RawValue) -> Vec<u8> {
        let mut text = vec![b'{'];
        for (name, own, remembered) in [
            ("id", chunk.id, &self.identity.id),
            ("object", chunk.object, &self.identity.object),
            ("created", chunk.created, &self.identity.created),
            ("model", chunk.model, &self.identity.model),
        ] {
            if let Some(value) = own.or(remembered.as_deref()) {
                text.extend_from_slice(format!("\"{name}\":{},", value.get()).as_bytes());
            }
        }
        text.extend_from_slice(format!("\"choices\":[],\"usage\":{}}}", usage.get()).as_bytes());
        one_line(&text)
    }
}

impl Choice<'_> {
    fn has_content(&self) -> bool {
        self.is_finished()
            || self.text.is_some_and(is_filled)
            || self.delta.is_some_and(|delta| {
                serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(delta.get())
                    .is_ok_and(|fields| {
                        fields
                            .iter()
                            .any(|(name, value)| name != "role" && is_filled(value))
                    })
            })
    }

    fn is_finished(&self) -> bool {
        self.finish_reason.is_some_and(is_filled)
    }

    fn is_filtered(&self) -> bool {
        self.finish_reason
            .is_some_and(|reason| reason.get() == "\"content_filter\"")
    }
}

fn is_filled(value: &RawValue) -> bool {
    !matches!(value.get(), "null" | "\"\"" | "[]" | "{}")
}

fn unreadable() -> Progress {
    Progress::Failed(ProviderError {
        failure: Failure::Reset,
        error: None,
    })
}

/// JSON on one line: outside of strings a line end is white space, inside it is not allowed.
pub(crate) fn one_line(json: &[u8]) -> Vec<u8> {
    json.trim_ascii()
        .iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect()
}

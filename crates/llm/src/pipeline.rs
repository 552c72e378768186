//! A stream on its way to the client: decoder, stages, encoder.
//!
//! ```text
//!   bytes ──▶ events ──▶ StreamDecoder ──▶ StreamEvent ──▶ errors, ends, content, usage ──▶ encoder ──▶ bytes
//! ```
//!
//! What a provider's stream says is brought into the one form that every client reads.
//! The form (measured against Dify's SDK, which drops text silently on any other): LF line ends, one `data:`
//! line a block, no `event`, `id` or `retry`, no comment in a block with data; a usage chunk, where the client
//! asked for one, with `choices: []` and last; `data: [DONE]` at the end.

mod decoder;
mod encoder;
mod event;
mod plain;
mod translated;

use std::borrow::Cow;
use std::collections::BTreeSet;

use memchr::memmem;
use spillway_sse::{Event, Reader, write_event};
use spillway_upstream::Failure;

use crate::Usage;
use crate::choice::{Choice, Finish};
use crate::dialect::Dialect;
use crate::events::Data;
use crate::said::{ProviderError, Said, error_of};
use crate::usage_chunk::ChunkIdentity;
use spillway_tokens::Hundredths;

pub(crate) use decoder::{StreamDecoder, openai_events};
use encoder::StreamEncoder;
pub(crate) use event::StreamEvent;

/// So much is held back at most while no content has come.
const MAX_BUFFERED_BYTES: usize = 1024 * 1024;

/// More choices than any provider gives.
const MAX_CHOICES: usize = 1024;

/// Reads one provider's stream and writes the client's.
#[derive(Debug)]
pub struct StreamPipeline {
    reader: Reader,
    decoder: StreamDecoder,
    encoder: StreamEncoder,
    wants_usage: bool,
    minds_content_filter: bool,
    out: Vec<u8>,
    has_content: bool,
    /// Something of the answer itself has come, not thoughts alone.
    has_answer: bool,
    /// Choices that have begun and not ended, and those that have ended.
    open_choices: BTreeSet<i64>,
    ended_choices: BTreeSet<i64>,
    done: bool,
    usage: Option<Usage>,
    /// What it has said, in hundredths of a token.
    weight: Hundredths,
    /// Usage has come by itself, as it does last.
    has_last_usage: bool,
    /// The usage chunk as it will be sent: kept back, as it must come last.
    usage_chunk: Option<Vec<u8>>,
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

impl StreamPipeline {
    /// Of a provider's stream in this dialect, for a client that does or does not want the usage chunk.
    pub fn new(dialect: Dialect, wants_usage: bool, unix_seconds: u64) -> Self {
        Self {
            reader: Reader::default().taking_strays(),
            decoder: dialect.stream_decoder(),
            encoder: StreamEncoder::new(unix_seconds),
            wants_usage,
            minds_content_filter: false,
            out: Vec::new(),
            has_content: false,
            has_answer: false,
            open_choices: BTreeSet::new(),
            ended_choices: BTreeSet::new(),
            done: false,
            usage: None,
            weight: 0,
            has_last_usage: false,
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
    pub fn push(&mut self, mut bytes: &[u8]) -> Progress {
        while !self.done {
            let (plain, is_other) = self.pass_plain(bytes);
            bytes = bytes.get(plain..).unwrap_or_default();
            if bytes.is_empty() {
                return Progress::Open;
            }
            // An event of another kind takes the long way alone.
            let end = memmem::find(bytes, b"\n\n").map_or(bytes.len(), |end| end.saturating_add(2));
            let (event, rest) = bytes.split_at(end);
            let read = self.reader.push(event);
            let progress = self.read_events(!is_other);
            if progress != Progress::Open {
                return progress;
            }
            if let Err(error) = read {
                return Progress::Failed(ProviderError::oversized(&error));
            }
            bytes = rest;
        }
        Progress::Done
    }

    /// Says that the provider's stream has ended cleanly. A stream that said neither `[DONE]` nor a
    /// `finish_reason` was cut short.
    pub fn finish(&mut self) -> Progress {
        if !self.done {
            // An oversized last line is as good as none.
            let _ = self.reader.finish();
            if let failed @ Progress::Failed(_) = self.read_events(true) {
                return failed;
            }
            if !self.done && !self.is_finished() {
                return Progress::Failed(ProviderError::bare(Failure::Truncated));
            }
        }
        Progress::Done
    }

    /// Whether anything is ready to be sent.
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
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

    /// How many tokens what has come seems to be, by its texts.
    pub fn estimated_output(&self) -> u64 {
        self.weight.div_ceil(100)
    }

    /// Whether every choice that has begun has ended, and one has. It may still go on: some providers name an end with
    /// every chunk, and of several choices one may begin when another has ended.
    pub fn is_finished(&self) -> bool {
        self.open_choices.is_empty() && !self.ended_choices.is_empty()
    }

    /// Whether nothing but `[DONE]` is missing.
    pub fn is_settled(&self) -> bool {
        self.is_finished() && self.has_last_usage && self.has_answer
    }

    /// `may_be_plain`: nobody has looked yet whether what is to be read is plain.
    fn read_events(&mut self, may_be_plain: bool) -> Progress {
        while let Some(mut event) = self.reader.next_event() {
            self.decoder.repair(&mut event);
            match self.read_event(&event, may_be_plain) {
                Progress::Open => {}
                ended => return ended,
            }
        }
        Progress::Open
    }

    fn read_event(&mut self, event: &Event, may_be_plain: bool) -> Progress {
        if may_be_plain
            && self.reads_plain()
            && event.name.is_none()
            && let Some(chunk) = self.decoder.plain(&event.data)
        {
            self.read_plain(chunk, &event.data);
            return Progress::Open;
        }
        for said in self.decoder.decode(event) {
            let progress = self.take(&said);
            if progress != Progress::Open {
                return progress;
            }
        }
        Progress::Open
    }

    fn take(&mut self, event: &StreamEvent<'_>) -> Progress {
        match event {
            StreamEvent::Chunk(data) => self.read_data(data),
            StreamEvent::Done => {
                self.done = true;
                Progress::Done
            }
            StreamEvent::Failed(error) => Progress::Failed(error.clone()),
            event => self.read_translated(event),
        }
    }

    fn read_data(&mut self, data: &Data<'_>) -> Progress {
        let document = data.document();
        let Some(said) = Said::of(document) else {
            // A list, a number: an error's, or nothing's.
            return match error_of(document) {
                Some(error) => Progress::Failed(error),
                None => Progress::Open,
            };
        };
        let error = said.error(document);
        // What is no error but a notice must not spoil an answer that has ended.
        let is_late_notice =
            said.choices.is_empty() && self.is_finished() && !said.is_plain_error();
        if let Some(error) = error.filter(|_| !is_late_notice) {
            // What is said beside the failure belongs to what was said before it; the error itself is told by itself,
            // without what clients must not see.
            if self.has_content && said.has_content() {
                write_event(
                    &mut self.out,
                    None,
                    &one_line(said.without_errors().as_bytes()),
                );
            }
            return Progress::Failed(error);
        }
        self.read_chunk(data.written(), &said)
    }

    fn read_chunk(&mut self, data: &[u8], said: &Said<'_>) -> Progress {
        if let Some(usage) = said.usage() {
            if let Ok(usage) = serde_json::from_str(usage.get()) {
                self.usage = Some(usage);
            }
            if self.wants_usage {
                // Also where it came along with text, or without `choices`: clients want it alone, last, and with them.
                self.usage_chunk = Some(self.identity.usage_chunk(&said.members, usage));
            }
        }
        self.has_last_usage =
            said.choices.is_empty() && (said.usage().is_some() || self.has_last_usage);
        if said.choices.is_empty() {
            if said.usage().is_none() && said.has_list_of_choices() {
                // Azure's prompt filter results come so: harmless to every client.
                return self.pass_on(data, said);
            }
            return Progress::Open;
        }
        if self.wants_usage {
            self.identity.remember(&said.members);
        }
        if !self.has_content {
            let is_filtered = |choice: &Choice<'_>| *choice.finish() == Finish::Filtered;
            if self.minds_content_filter && said.choices.iter().any(is_filtered) {
                return Progress::Failed(ProviderError::bare(Failure::ContentFilter(200)));
            }
            self.has_content = said.choices.iter().any(is_shown);
        }
        self.has_answer |= said.choices.iter().any(Choice::answers);
        for choice in &said.choices {
            self.note(choice);
            self.weight = self.weight.saturating_add(choice.weight());
        }
        self.pass_on(data, said)
    }

    fn note(&mut self, choice: &Choice<'_>) {
        let index = choice.index();
        if *choice.finish() != Finish::Open {
            self.open_choices.remove(&index);
            self.ended_choices.insert(index);
            return;
        }
        // What it still says takes its end back.
        if choice.has_content() {
            self.ended_choices.remove(&index);
        }
        if !self.ended_choices.contains(&index) {
            self.open_choices.insert(index);
        }
    }

    fn pass_on(&mut self, data: &[u8], said: &Said<'_>) -> Progress {
        // Counted twice, it would be billed twice.
        if self.wants_usage && said.usage().is_some() {
            self.write(said.without_usage().as_bytes())
        } else {
            self.write(data)
        }
    }

    fn write(&mut self, chunk: &[u8]) -> Progress {
        // Until content comes the output is kept here: a provider that only ever sends empty chunks must not fill
        // the instance's memory.
        let buffered = self.out.len().saturating_add(chunk.len());
        if !self.has_content
            && (buffered > MAX_BUFFERED_BYTES || self.open_choices.len() > MAX_CHOICES)
        {
            return Progress::Failed(ProviderError::bare(Failure::Reset));
        }
        write_event(&mut self.out, None, &one_line(chunk));
        Progress::Open
    }
}

/// Whether a client has seen something of it.
fn is_shown(choice: &Choice<'_>) -> bool {
    *choice.finish() != Finish::Open || choice.has_content()
}

/// JSON on one line: outside of strings a line end is white space, inside it is not allowed.
pub(crate) fn one_line(json: &[u8]) -> Cow<'_, [u8]> {
    let json = json.trim_ascii();
    let is_end = |byte: u8| matches!(byte, b'\n' | b'\r');
    if memchr::memchr2(b'\n', b'\r', json).is_none() {
        return Cow::Borrowed(json);
    }
    json.iter()
        .map(|byte| if is_end(*byte) { b' ' } else { *byte })
        .collect()
}

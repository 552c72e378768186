//! The events of a stream.
//!
//! `message_start`, then for each block `content_block_start`, its deltas and `content_block_stop`, then
//! `message_delta` with the end and the counts, and `message_stop`; `ping` and `error` anywhere. Types and deltas that
//! are not known are passed over, as Anthropic asks of its clients.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use spillway_sse::Event;
use spillway_upstream::Failure;

use super::answer::AnswerBlock;
use super::content::Text;
use super::usage::{Counts, finish_reason};
use crate::pipeline::{StreamEvent, openai_events};
use crate::said::{ProviderError, error_event};

/// More calls of tools than any answer has.
const MAX_TOOL_CALLS: usize = 1024;

/// No model thinks so much at a time. Of a longer thought the rest is missing when it is sent back, and Anthropic says so.
const MAX_THOUGHT_BYTES: usize = 1024 * 1024;

/// What is known of a stream.
#[derive(Debug, Default)]
pub(crate) struct StreamState {
    counts: Counts,
    /// Of each block that is a call of a tool, which of the calls it is, and whether its arguments have begun.
    calls: BTreeMap<u64, (usize, bool)>,
    call_count: usize,
    /// It has said why it ended: what follows and cannot be read takes nothing from it.
    has_ended: bool,
    /// The thought that is being written: its signature is worth something with all of it alone.
    thought: String,
}

/// An event, its parts unread: of types that are not known they may be anything.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

fn read<'a, T: Deserialize<'a>>(value: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    #[serde(default)]
    usage: Counts,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Text<'a>>,
    #[serde(borrow, default)]
    signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
}

fn index(written: &Written<'_>) -> u64 {
    read(written.index).unwrap_or_default()
}

impl StreamState {
    /// What an event says. Some proxies forget the blank line between events, and some end a stream as OpenAI does, or
    /// are OpenAI's already: those are read as theirs.
    pub fn decode<'e>(&mut self, event: &'e Event) -> Vec<StreamEvent<'e>> {
        let data = event.data.trim_ascii();
        if event.name.as_deref() == Some(b"error") {
            return vec![StreamEvent::Failed(error_event(data))];
        }
        if let Some(said) = self.document(data) {
            return said;
        }
        let mut all = Vec::new();
        let mut has_any = false;
        for piece in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
            match self.document(piece) {
                Some(said) => {
                    has_any = true;
                    all.extend(said);
                }
                None if piece.is_empty() || self.has_ended => {}
                None if has_any => {
                    let broken = ProviderError::bare(Failure::Reset);
                    all.push(StreamEvent::Failed(broken));
                    break;
                }
                None => break,
            }
        }
        if has_any || self.has_ended {
            return all;
        }
        openai_events(event)
    }

    /// `None` where it is none of Anthropic's events.
    fn document<'e>(&mut self, data: &'e [u8]) -> Option<Vec<StreamEvent<'e>>> {
        let written: Written<'e> = serde_json::from_slice(data).ok()?;
        Some(match written.kind.as_ref() {
            "" => return None,
            "error" => vec![StreamEvent::Failed(error_event(data))],
            "message_start" => self.start(read(written.message)),
            "content_block_start" => self.block(index(&written), written.content_block),
            "content_block_delta" => read(written.delta)
                .and_then(|delta| self.delta(index(&written), delta))
                .into_iter()
                .collect(),
            "content_block_stop" => self.block_end(index(&written)).into_iter().collect(),
            "message_delta" => self.end(read(written.delta), read(written.usage)),
            "message_stop" => vec![StreamEvent::Done],
            _ => Vec::new(),
        })
    }

    fn start<'e>(&mut self, message: Option<Message<'e>>) -> Vec<StreamEvent<'e>> {
        let Some(message) = message else {
            return Vec::new();
        };
        self.counts = message.usage;
        let start = StreamEvent::Start {
            id: message.id,
            model: message.model,
        };
        // Of a stream that is cut the prompt has been paid for.
        vec![start, StreamEvent::Usage(self.counts.as_openai())]
    }

    fn block<'e>(&mut self, index: u64, block: Option<&'e RawValue>) -> Vec<StreamEvent<'e>> {
        let Some(written) = block else {
            return Vec::new();
        };
        let Ok(block) = serde_json::from_str::<AnswerBlock<'e>>(written.get()) else {
            return Vec::new();
        };
        match block.kind.as_ref() {
            "text" => {
                let text = block.text.map(|Text(text)| text).unwrap_or_default();
                vec![StreamEvent::Text(text)]
            }
            "redacted_thinking" => vec![StreamEvent::ThinkingBlock(Cow::Borrowed(written.get()))],
            "tool_use" if self.call_count >= MAX_TOOL_CALLS => {
                vec![StreamEvent::Failed(ProviderError::bare(Failure::Reset))]
            }
            "tool_use" => {
                let call = self.call_count;
                self.call_count = self.call_count.saturating_add(1);
                // Some write the arguments at once.
                let input = block.input.map(RawValue::get);
                let input = input.filter(|input| !matches!(*input, "{}" | "null"));
                self.calls.insert(index, (call, input.is_some()));
                let begun = StreamEvent::ToolCall {
                    call,
                    id: block.id.map(|Text(id)| id).unwrap_or_default(),
                    name: block.name.map(|Text(name)| name).unwrap_or_default(),
                };
                let arguments = input.map(|input| StreamEvent::Arguments {
                    call,
                    json: Cow::Borrowed(input),
                });
                std::iter::once(begun).chain(arguments).collect()
            }
            _ => Vec::new(),
        }
    }

    fn delta<'e>(&mut self, index: u64, delta: Delta<'e>) -> Option<StreamEvent<'e>> {
        match delta.kind.as_ref() {
            "text_delta" => Some(StreamEvent::Text(delta.text?.0)),
            "thinking_delta" => {
                let Text(thought) = delta.thinking?;
                if self.thought.len().saturating_add(thought.len()) <= MAX_THOUGHT_BYTES {
                    self.thought.push_str(&thought);
                }
                Some(StreamEvent::Thinking(thought))
            }
            "signature_delta" => {
                let block = serde_json::json!({
                    "type": "thinking",
                    "thinking": std::mem::take(&mut self.thought),
                    "signature": delta.signature?.0,
                });
                Some(StreamEvent::ThinkingBlock(Cow::Owned(block.to_string())))
            }
            "input_json_delta" => {
                let (call, has_begun) = self.calls.get_mut(&index)?;
                let Text(json) = delta.partial_json?;
                *has_begun |= !json.is_empty();
                Some(StreamEvent::Arguments { call: *call, json })
            }
            _ => None,
        }
    }

    /// A call without arguments has an empty object of them: clients parse what they get.
    fn block_end(&mut self, index: u64) -> Option<StreamEvent<'static>> {
        let (call, has_begun) = self.calls.remove(&index)?;
        (!has_begun).then_some(StreamEvent::Arguments {
            call,
            json: Cow::Borrowed("{}"),
        })
    }

    fn end<'e>(
        &mut self,
        delta: Option<Delta<'e>>,
        counts: Option<Counts>,
    ) -> Vec<StreamEvent<'e>> {
        self.counts = self.counts.updated_by(counts.unwrap_or_default());
        let reason = delta.and_then(|delta| delta.stop_reason);
        self.has_ended |= reason.is_some();
        let end = reason.map(|Text(reason)| StreamEvent::End(finish_reason(&reason)));
        let usage = StreamEvent::Usage(self.counts.as_openai());
        end.into_iter().chain([usage]).collect()
    }
}

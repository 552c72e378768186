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

use super::content::Text;
use super::usage::{Counts, finish_reason};
use crate::pipeline::StreamEvent;
use crate::said::{ProviderError, bare_words, error_event};

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
    /// The thought that is being written: its signature is worth something with all of it alone.
    thought: String,
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(default)]
    usage: Option<Counts>,
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
struct Block<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
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

impl StreamState {
    /// What an event says.
    pub fn decode<'e>(&mut self, event: &'e Event) -> Vec<StreamEvent<'e>> {
        let data = event.data.trim_ascii();
        if event.name.as_deref() == Some(b"error") {
            return vec![StreamEvent::Failed(error_event(data))];
        }
        let Ok(written) = serde_json::from_slice::<Written<'e>>(data) else {
            return match bare_words(data) {
                Some(words) => words.map(StreamEvent::Failed).into_iter().collect(),
                None => vec![StreamEvent::Failed(ProviderError::bare(Failure::Reset))],
            };
        };
        match written.kind.as_ref() {
            "error" => vec![StreamEvent::Failed(error_event(data))],
            "message_start" => self.start(written.message),
            "content_block_start" => self.block(written.index, written.content_block),
            "content_block_delta" => written
                .delta
                .and_then(|delta| self.delta(written.index, delta))
                .into_iter()
                .collect(),
            "content_block_stop" => self.block_end(written.index).into_iter().collect(),
            "message_delta" => self.end(written.delta, written.usage),
            "message_stop" => vec![StreamEvent::Done],
            _ => Vec::new(),
        }
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
        let Ok(block) = serde_json::from_str::<Block<'e>>(written.get()) else {
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
        let end = reason.map(|Text(reason)| StreamEvent::End(finish_reason(&reason)));
        let usage = StreamEvent::Usage(self.counts.as_openai());
        end.into_iter().chain([usage]).collect()
    }
}

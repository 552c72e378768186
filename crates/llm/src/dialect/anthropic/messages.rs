//! The messages of a chat: system messages to the front, calls of tools and their results as blocks, neighbours of one
//! role as one message.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spillway_json::Members;

use super::content::{Block, Known, Text, blocks, list, text_block, text_of};
use crate::dialect::EncodeError;

/// What becomes of a list of messages.
#[derive(Debug, Default)]
pub(super) struct Messages<'a> {
    pub system: Vec<Block<'a>>,
    pub messages: Vec<Message<'a>>,
    legacy_calls: usize,
}

/// A message.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// A message as OpenAI's API writes it.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<Function<'a>>,
    #[serde(borrow, default)]
    tool_call_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Text<'a>>,
    /// Anthropic's own thinking, as answers had it: it goes back with its signatures.
    #[serde(borrow, default)]
    thinking_blocks: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl<'a> Messages<'a> {
    pub fn of(written: &'a RawValue) -> Result<Self, EncodeError> {
        if !written.get().starts_with('[') {
            return Err(EncodeError("`messages` must be a list.".to_owned()));
        }
        let mut messages = Self::default();
        let mut instructions = 0;
        for (index, message) in list(written, "messages")?.into_iter().enumerate() {
            let before = messages.system.len();
            messages.take(message, &format!("messages[{index}]"))?;
            instructions = messages.system.len().saturating_sub(before);
        }
        messages.end(instructions);
        Ok(messages)
    }

    /// A chat ends with what is to be answered: `instructions`, so many blocks of the system's at its end, are that, and
    /// stay there. What the model itself has begun it goes on with, which may not end in white space.
    fn end(&mut self, instructions: usize) {
        if instructions > 0 {
            let first = self.system.len().saturating_sub(instructions);
            let last = self.system.split_off(first);
            self.push("user", last);
        }
        if let Some(last) = self
            .messages
            .last_mut()
            .filter(|last| last.role == "assistant")
            && let Some(block) = last.content.last_mut()
        {
            block.trim_end();
        }
    }

    fn take(&mut self, message: &'a RawValue, place: &str) -> Result<(), EncodeError> {
        let written: Written<'a> = serde_json::from_str(message.get())
            .map_err(|_| EncodeError(format!("`{place}` is no message of OpenAI's API.")))?;
        let content = blocks(written.content, place)?;
        let content = cached(content, written.cache_control);
        match written.role.as_ref() {
            "system" | "developer" => self.system.extend(content),
            "assistant" => {
                let thinking = match written.thinking_blocks {
                    Some(blocks) => list(blocks, &format!("{place}.thinking_blocks"))?,
                    None => Vec::new(),
                };
                let thinking = thinking.into_iter().map(thought);
                let refusal = written
                    .refusal
                    .and_then(|Text(text)| text_block(text, None));
                let calls = match written.tool_calls {
                    Some(calls) => list(calls, &format!("{place}.tool_calls"))?,
                    None => Vec::new(),
                };
                let calls = calls
                    .into_iter()
                    .map(|call| tool_use(call, place))
                    .collect::<Result<Vec<_>, _>>()?;
                let legacy = written.function_call.map(|call| {
                    self.legacy_calls = self.legacy_calls.saturating_add(1);
                    Known::ToolUse {
                        id: self.legacy_id(),
                        name: call.name,
                        input: input(call.arguments),
                    }
                });
                let all = thinking
                    .chain(content)
                    .chain(refusal)
                    .chain(calls)
                    .chain(legacy.map(Block::Known));
                self.push("assistant", all.collect());
            }
            role @ ("tool" | "function") => {
                let tool_use_id = match written.tool_call_id {
                    Some(Text(id)) => sound_id(id),
                    None if role == "function" => self.legacy_id(),
                    None => {
                        return Err(EncodeError(format!("`{place}.tool_call_id` is missing.")));
                    }
                };
                let result = Known::ToolResult {
                    tool_use_id,
                    content,
                    cache_control: None,
                };
                self.push("user", vec![Block::Known(result)]);
            }
            "user" => self.push("user", content),
            other => {
                let role: String = other.chars().take(40).collect();
                return Err(EncodeError(format!(
                    "`{place}.role` is `{role}`: this model takes system, developer, user, assistant and tool."
                )));
            }
        }
        Ok(())
    }

    /// Functions, as they were before tools, had no ids: each result is that of the call before it.
    fn legacy_id(&self) -> Cow<'a, str> {
        Cow::Owned(format!("function_{}", self.legacy_calls))
    }

    fn push(&mut self, role: &'static str, content: Vec<Block<'a>>) {
        match self.messages.last_mut() {
            // Anthropic refuses empty messages.
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            _ => self.messages.push(Message { role, content }),
        }
    }
}

/// A thought goes back as it came, but for its place in the stream.
fn thought(block: &RawValue) -> Block<'_> {
    let members = Members::of(block).filter(|members| members.get("index").is_some());
    let Some(members) = members else {
        return Block::Own(block);
    };
    let written = members.written(|name, value| (name != "index").then(|| value.get()));
    RawValue::from_string(written).map_or(Block::Own(block), Block::Made)
}

/// Anthropic takes letters, digits, `_` and `-` in ids; those of other vendors in a chat's history have more.
fn sound_id(id: Cow<'_, str>) -> Cow<'_, str> {
    let is_sound = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !id.is_empty() && id.chars().all(is_sound) {
        return id;
    }
    let letters = id
        .chars()
        .map(|letter| if is_sound(letter) { letter } else { '_' });
    let id: String = letters.collect();
    Cow::Owned(if id.is_empty() { "call".to_owned() } else { id })
}

/// A mark beside the content stands for its last block.
fn cached<'a>(mut content: Vec<Block<'a>>, mark: Option<&'a RawValue>) -> Vec<Block<'a>> {
    if let (Some(mark), Some(Block::Known(last))) = (mark, content.last_mut()) {
        match last {
            Known::Text { cache_control, .. }
            | Known::Image { cache_control, .. }
            | Known::Document { cache_control, .. }
            | Known::ToolResult { cache_control, .. } => *cache_control = Some(mark),
            Known::ToolUse { .. } => {}
        }
    }
    content
}

fn tool_use<'a>(call: &'a RawValue, place: &str) -> Result<Block<'a>, EncodeError> {
    let read: ToolCall<'a> = serde_json::from_str(call.get()).map_err(|_| {
        EncodeError(format!(
            "`{place}.tool_calls` has one that is no call of a tool."
        ))
    })?;
    let Some(function) = read.function else {
        return Ok(Block::Own(call));
    };
    Ok(Block::Known(Known::ToolUse {
        id: sound_id(read.id),
        name: function.name,
        input: input(function.arguments),
    }))
}

/// A call's arguments as the object that they are. Models also write what is none, which stays in history: it goes on
/// under a name, for Anthropic takes objects alone.
fn input(arguments: Option<&RawValue>) -> Box<RawValue> {
    let text = match arguments {
        None => Cow::Borrowed("{}"),
        Some(value) if value.get().starts_with('{') => Cow::Borrowed(value.get()),
        Some(value) => text_of(value).unwrap_or(Cow::Borrowed(value.get())),
    };
    let is_object = serde_json::from_str::<&RawValue>(&text)
        .ok()
        .and_then(Members::of)
        .is_some();
    let written = if is_object {
        text.trim().to_owned()
    } else if text.trim().is_empty() {
        "{}".to_owned()
    } else {
        serde_json::json!({ "arguments": text }).to_string()
    };
    RawValue::from_string(written).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

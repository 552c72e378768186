//! The messages of a chat: system messages to the front, calls of tools and their results as blocks, neighbours of one
//! role as one message.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spillway_json::Members;

use super::content::{Block, Known, Text, blocks, list, text_of};
use crate::dialect::EncodeError;

/// What becomes of a list of messages.
#[derive(Debug, Default)]
pub(super) struct Messages<'a> {
    pub system: Vec<Block<'a>>,
    pub messages: Vec<Message<'a>>,
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
    name: Option<Text<'a>>,
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
        for (index, message) in list(written, "messages")?.into_iter().enumerate() {
            messages.take(message, &format!("messages[{index}]"))?;
        }
        Ok(messages)
    }

    fn take(&mut self, message: &'a RawValue, place: &str) -> Result<(), EncodeError> {
        let written: Written<'a> = serde_json::from_str(message.get())
            .map_err(|error| EncodeError(format!("`{place}` cannot be read: {error}.")))?;
        let content = blocks(written.content, place)?;
        let content = cached(content, written.cache_control);
        match written.role.as_ref() {
            "system" | "developer" => self.system.extend(content),
            "assistant" => {
                let thinking = match written.thinking_blocks {
                    Some(blocks) => list(blocks, &format!("{place}.thinking_blocks"))?,
                    None => Vec::new(),
                };
                let thinking = thinking.into_iter().map(Block::Own);
                let calls = match written.tool_calls {
                    Some(calls) => list(calls, &format!("{place}.tool_calls"))?,
                    None => Vec::new(),
                };
                let calls = calls
                    .into_iter()
                    .map(|call| tool_use(call, place))
                    .collect::<Result<Vec<_>, _>>()?;
                let legacy = written.function_call.map(|call| Known::ToolUse {
                    id: call.name.clone(),
                    name: call.name,
                    input: input(call.arguments),
                });
                let all = thinking
                    .chain(content)
                    .chain(calls)
                    .chain(legacy.map(Block::Known));
                self.push("assistant", all.collect());
            }
            "tool" | "function" => {
                let id = written.tool_call_id.or(written.name);
                let Text(tool_use_id) =
                    id.ok_or_else(|| EncodeError(format!("`{place}.tool_call_id` is missing.")))?;
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

    fn push(&mut self, role: &'static str, content: Vec<Block<'a>>) {
        match self.messages.last_mut() {
            // Anthropic refuses empty messages.
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            _ => self.messages.push(Message { role, content }),
        }
    }
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
    let read: ToolCall<'a> = serde_json::from_str(call.get()).map_err(|error| {
        EncodeError(format!(
            "A call in `{place}.tool_calls` cannot be read: {error}."
        ))
    })?;
    let Some(function) = read.function else {
        return Ok(Block::Own(call));
    };
    Ok(Block::Known(Known::ToolUse {
        id: read.id,
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

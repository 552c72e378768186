//! From what a stream says to the chunks of OpenAI's API.

use serde::Serialize;
use serde_json::value::RawValue;

use super::StreamEvent;

/// Writes the chunks of an answer.
#[derive(Debug, Default)]
pub(crate) struct StreamEncoder {
    id: String,
    model: String,
    created: u64,
    thought_count: usize,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[&'a RawValue; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCall<'a>; 1]>,
}

#[derive(Serialize)]
struct ToolCall<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl StreamEncoder {
    /// For an answer that is made now.
    pub fn new(created: u64) -> Self {
        Self {
            created,
            ..Self::default()
        }
    }

    /// What it says as one chunk; `None` where that is nothing.
    pub fn encode(&mut self, event: &StreamEvent<'_>) -> Option<Vec<u8>> {
        let mut finish_reason = None;
        let numbered: String;
        let delta = match event {
            StreamEvent::Start { id, model } => {
                self.id = id.to_string();
                self.model = model.to_string();
                Delta {
                    role: Some("assistant"),
                    content: Some(""),
                    ..Delta::default()
                }
            }
            StreamEvent::Text(text) if !text.is_empty() => Delta {
                content: Some(text),
                ..Delta::default()
            },
            StreamEvent::Thinking(thought) if !thought.is_empty() => Delta {
                reasoning_content: Some(thought),
                ..Delta::default()
            },
            StreamEvent::ThinkingBlock(block) => {
                // Client libraries put lists together by the place of each element.
                let rest = block.trim_start().strip_prefix('{')?;
                numbered = format!("{{\"index\":{},{rest}", self.thought_count);
                self.thought_count = self.thought_count.saturating_add(1);
                Delta {
                    thinking_blocks: Some([serde_json::from_str(&numbered).ok()?]),
                    ..Delta::default()
                }
            }
            StreamEvent::ToolCall { call, id, name } => Delta {
                tool_calls: Some([ToolCall {
                    index: *call,
                    id: Some(id),
                    r#type: Some("function"),
                    function: Function {
                        name: Some(name),
                        arguments: "",
                    },
                }]),
                ..Delta::default()
            },
            StreamEvent::Arguments { call, json } if !json.is_empty() => Delta {
                tool_calls: Some([ToolCall {
                    index: *call,
                    id: None,
                    r#type: None,
                    function: Function {
                        name: None,
                        arguments: json,
                    },
                }]),
                ..Delta::default()
            },
            StreamEvent::End(reason) => {
                finish_reason = Some(*reason);
                Delta::default()
            }
            _ => return None,
        };
        let choice = Choice {
            index: 0,
            delta,
            finish_reason,
        };
        self.write(&[choice], None)
    }

    /// The usage chunk.
    pub fn usage(&self, usage: &impl Serialize) -> Option<Vec<u8>> {
        let usage = serde_json::value::to_raw_value(usage).ok()?;
        self.write(&[], Some(&usage))
    }

    fn write(&self, choices: &[Choice<'_>], usage: Option<&RawValue>) -> Option<Vec<u8>> {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        };
        serde_json::to_vec(&chunk).ok()
    }
}

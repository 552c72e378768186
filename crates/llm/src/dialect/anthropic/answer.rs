//! A message, as OpenAI's chat completion.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spillway_json::sound_texts;

use super::content::Text;
use super::usage::{Counts, OpenAiUsage, finish_reason};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
    #[serde(default)]
    usage: Counts,
}

/// A block of an answer. Blocks that OpenAI's API has no word for (calls of Anthropic's own tools and their results) are
/// passed over: what the model says of them is text.
#[derive(Deserialize)]
pub(super) struct AnswerBlock<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub thinking: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub input: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: OpenAiUsage,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Said<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    /// As they came, with their signatures: a client sends them back with the results of tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
}

#[derive(Serialize)]
struct ToolCall<'a> {
    id: Cow<'a, str>,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: Cow<'a, str>,
    arguments: &'a str,
}

/// `None` where it is no message: an error, or one of OpenAI's answers, from a proxy that translates itself.
pub(in crate::dialect) fn decode(body: &[u8], created: u64) -> Option<Vec<u8>> {
    // Halves of characters, and numbers that are none, are read as clients read them.
    let body = sound_texts(body)?;
    let message: Message<'_> = serde_json::from_slice(&body).ok()?;
    let mut said = Said {
        role: "assistant",
        content: None,
        reasoning_content: String::new(),
        thinking_blocks: Vec::new(),
        tool_calls: Vec::new(),
    };
    for written in &message.content {
        let Ok(block) = serde_json::from_str::<AnswerBlock<'_>>(written.get()) else {
            continue;
        };
        match block.kind.as_ref() {
            "text" => {
                let text = block.text.map(|Text(text)| text).unwrap_or_default();
                said.content.get_or_insert_default().push_str(&text);
            }
            "thinking" | "redacted_thinking" => {
                if let Some(Text(thought)) = block.thinking {
                    said.reasoning_content.push_str(&thought);
                }
                said.thinking_blocks.push(written);
            }
            "tool_use" => said.tool_calls.push(ToolCall {
                id: block.id.map(|Text(id)| id).unwrap_or_default(),
                r#type: "function",
                function: Function {
                    name: block.name.map(|Text(name)| name).unwrap_or_default(),
                    arguments: block.input.map_or("{}", RawValue::get),
                },
            }),
            _ => {}
        }
    }
    let stop_reason = message.stop_reason.map(|Text(reason)| reason);
    let completion = Completion {
        id: &message.id,
        object: "chat.completion",
        created,
        model: &message.model,
        choices: [Choice {
            index: 0,
            message: said,
            logprobs: None,
            finish_reason: finish_reason(&stop_reason.unwrap_or_default()),
        }],
        usage: message.usage.as_openai(),
    };
    serde_json::to_vec(&completion).ok()
}

//! Chat and text completions.

use serde_json::{Value, json};

use super::CREATED;
use crate::{
    Event, EventStream, UsagePlacement,
    event_stream::DONE,
    json::{at, elements, with},
};

/// Token counts of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Of the input.
    pub prompt_tokens: u64,
    /// Of the output.
    pub completion_tokens: u64,
}

impl Usage {
    /// Both together.
    pub fn total_tokens(self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    fn json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens(),
        })
    }
}

/// The text that the stand-in answers when asked for `model` with this last user message (or prompt).
pub fn chat_text(model: &str, message: &str) -> String {
    format!("{model} heard: {message} – grüße 你好 🌍 !")
}

/// The tokens that the stand-in counts for a request: of the input, one for every four characters of all texts,
/// rounded up; of the output, one for every piece between spaces.
pub fn usage(request: &Value) -> Usage {
    count(request, pieces(&answer_text(request)).len())
}

fn count(request: &Value, pieces: usize) -> Usage {
    let messages = elements(request, "/messages");
    let said: usize = messages
        .iter()
        .map(|message| content(message).chars().count())
        .sum();
    let prompt = at(request, "/prompt")
        .as_str()
        .unwrap_or_default()
        .chars()
        .count();
    let tokens = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Usage {
        prompt_tokens: tokens(said.saturating_add(prompt).div_ceil(4)),
        completion_tokens: tokens(pieces),
    }
}

/// The text of a message, its text parts joined.
fn content(message: &Value) -> String {
    match at(message, "/content") {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| at(part, "/text").as_str())
            .collect(),
        _ => String::new(),
    }
}

fn answer_text(request: &Value) -> String {
    let model = at(request, "/model").as_str().unwrap_or_default();
    let messages = elements(request, "/messages");
    let last = messages
        .iter()
        .rev()
        .find(|message| at(message, "/role") == "user")
        .map(content);
    let prompt = || {
        at(request, "/prompt")
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    chat_text(model, &last.unwrap_or_else(prompt))
}

fn pieces(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

fn wants_tool_call(request: &Value) -> Option<&str> {
    at(request, "/tools/0/function/name").as_str()
}

pub(super) fn chat(name: &str, request: &Value) -> Value {
    let message = match wants_tool_call(request) {
        None => json!({"role": "assistant", "content": answer_text(request)}),
        Some(function) => json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_1", "type": "function",
             "function": {"name": function, "arguments": "{\"city\":\"Bern\"}"}},
        ]}),
    };
    let reason = finish_reason(request);
    json!({
        "id": "chatcmpl-standin", "object": "chat.completion", "created": CREATED,
        "model": at(request, "/model"), "system_fingerprint": name,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
        "usage": usage(request).json(),
    })
}

pub(super) fn completion(name: &str, request: &Value) -> Value {
    json!({
        "id": "cmpl-standin", "object": "text_completion", "created": CREATED,
        "model": at(request, "/model"), "system_fingerprint": name,
        "choices": [{"index": 0, "text": answer_text(request), "logprobs": null, "finish_reason": "stop"}],
        "usage": usage(request).json(),
    })
}

fn finish_reason(request: &Value) -> &'static str {
    if wants_tool_call(request).is_some() {
        "tool_calls"
    } else {
        "stop"
    }
}

/// The pieces of text, with what the shape of the stream adds.
fn streamed_pieces(request: &Value, stream: &EventStream) -> Vec<String> {
    let mut texts = match stream.long {
        Some(count) => (0..count).map(|number| format!("word{number} ")).collect(),
        None => pieces(&answer_text(request)),
    };
    texts.extend(stream.huge.map(|size| "x".repeat(size)));
    texts
}

pub(super) fn chat_events(name: &str, request: &Value, stream: &EventStream) -> Vec<Event> {
    let texts = streamed_pieces(request, stream);
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    match wants_tool_call(request) {
        None => deltas.extend(texts.iter().map(|text| json!({"content": text}))),
        Some(function) => {
            let call = json!({"index": 0, "id": "call_1", "type": "function",
                "function": {"name": function, "arguments": ""}});
            deltas.push(json!({"tool_calls": [call]}));
            let arguments = ["{\"city\":", "\"Bern\"}"];
            deltas.extend(arguments.map(
                |part| json!({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}),
            ));
        }
    }
    let choice =
        |delta| json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null});
    let last =
        json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": finish_reason(request)});
    let choices = deltas.into_iter().map(choice).chain([last]).collect();
    let head = json!({"id": "chatcmpl-standin", "object": "chat.completion.chunk",
        "created": CREATED, "model": at(request, "/model"), "system_fingerprint": name});
    chunks(&head, choices, count(request, texts.len()), request, stream)
}

pub(super) fn completion_events(name: &str, request: &Value, stream: &EventStream) -> Vec<Event> {
    let texts = streamed_pieces(request, stream);
    let choice =
        |text: &String| json!({"index": 0, "text": text, "logprobs": null, "finish_reason": null});
    let last = json!({"index": 0, "text": "", "logprobs": null, "finish_reason": "stop"});
    let choices = texts.iter().map(choice).chain([last]).collect();
    let head = json!({"id": "cmpl-standin", "object": "text_completion",
        "created": CREATED, "model": at(request, "/model"), "system_fingerprint": name});
    chunks(&head, choices, count(request, texts.len()), request, stream)
}

/// One event a choice, the usage where the stream wants it, and `[DONE]`.
fn chunks(
    head: &Value,
    choices: Vec<Value>,
    usage: Usage,
    request: &Value,
    stream: &EventStream,
) -> Vec<Event> {
    let asked = at(request, "/stream_options/include_usage") == true;
    let count = choices.len();
    let mut chunks: Vec<Value> = Vec::new();
    for (position, choice) in choices.into_iter().enumerate() {
        let last = position.saturating_add(1) == count;
        chunks.push(match stream.usage {
            UsagePlacement::WithFinish if last => {
                with(head, json!({"choices": [choice], "usage": usage.json()}))
            }
            UsagePlacement::AsAsked if asked => {
                with(head, json!({"choices": [choice], "usage": null}))
            }
            _ => with(head, json!({"choices": [choice]})),
        });
    }
    match stream.usage {
        UsagePlacement::AsAsked if asked => {
            chunks.push(with(head, json!({"choices": [], "usage": usage.json()})));
        }
        UsagePlacement::WithoutChoices if asked => {
            chunks.push(with(head, json!({"usage": usage.json()})))
        }
        _ => {}
    }
    let mut events: Vec<Event> = chunks
        .iter()
        .map(|chunk| Event::data(chunk.to_string()))
        .collect();
    events.push(Event::data(DONE));
    events
}

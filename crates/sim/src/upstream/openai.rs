//! A provider that speaks OpenAI's API.

use serde_json::json;

use super::Answer;
use crate::content::{content, mark, pieces, tokens};

/// A chat, whole.
pub fn chat(number: u32) -> Answer {
    let message = json!({ "role": "assistant", "content": content(number) });
    json_answer(&json!({
        "id": "1", "object": "chat.completion", "model": "m",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": tokens(number) },
    }))
}

/// A chat as a stream; asked with this key, which an error in it quotes.
pub fn chat_stream(number: u32, with_usage: bool, key: &str) -> Answer {
    let chunk = |delta: serde_json::Value, finish: Option<&str>| {
        event(&json!({
            "id": "1", "object": "chat.completion.chunk", "model": "m",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        }))
    };
    let mut blocks = vec![chunk(json!({ "role": "assistant", "content": "" }), None)];
    let words = pieces(number).into_iter();
    blocks.extend(words.map(|piece| chunk(json!({ "content": piece }), None)));
    blocks.push(chunk(json!({}), Some("stop")));
    if with_usage {
        blocks.push(event(&json!({
            "id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [],
            "usage": { "prompt_tokens": 3, "completion_tokens": tokens(number) },
        })));
    }
    Answer {
        content_type: "text/event-stream",
        blocks,
        terminator: Some("data: [DONE]\n\n".to_owned()),
        error_event: Some(event(
            &serde_json::from_str(&error(500, key)).unwrap_or_default(),
        )),
    }
}

/// An embedding.
pub fn embedding(number: u32) -> Answer {
    json_answer(&json!({
        "object": "list", "model": "m", "usage": { "prompt_tokens": 3, "total_tokens": 3 },
        "data": [{ "object": "embedding", "index": 0, "embedding": [number, 0.5] }],
    }))
}

/// A completion.
pub fn completion(number: u32) -> Answer {
    json_answer(&json!({
        "id": "1", "object": "text_completion", "model": "m",
        "choices": [{ "index": 0, "text": content(number), "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": tokens(number) },
    }))
}

/// A response of which nothing is kept.
pub fn response(number: u32) -> Answer {
    let text = json!({ "type": "output_text", "text": content(number), "annotations": [] });
    json_answer(&json!({
        "id": format!("resp-{}", mark(number)), "object": "response", "model": "m", "status": "completed",
        "output": [{ "type": "message", "role": "assistant", "status": "completed", "content": [text] }],
    }))
}

/// A file that was taken.
pub fn file(number: u32) -> Answer {
    json_answer(
        &json!({ "id": format!("file-{}", mark(number)), "object": "file", "bytes": 3, "purpose": "batch" }),
    )
}

/// The models that there are, as a probe asks for them.
pub fn models() -> Answer {
    json_answer(&json!({ "object": "list", "data": [{ "id": "m", "object": "model" }] }))
}

/// An error.
pub fn error(status: u16, key: &str) -> String {
    let kind = match status {
        401 => "invalid_api_key",
        429 => "rate_limit_exceeded",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    json!({ "error": { "message": format!("not with {key}"), "type": kind, "code": status.to_string() } }).to_string()
}

/// A JSON document.
pub fn json_answer(document: &serde_json::Value) -> Answer {
    Answer {
        content_type: "application/json",
        blocks: vec![document.to_string()],
        terminator: None,
        error_event: None,
    }
}

pub(super) fn event(document: &serde_json::Value) -> String {
    format!("data: {document}\n\n")
}

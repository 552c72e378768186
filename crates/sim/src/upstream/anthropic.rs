//! A provider that speaks Anthropic's API.

use serde_json::{Value, json};

use super::Answer;
use super::openai::json_answer;
use crate::content::{content, pieces, tokens};

/// A message, whole.
pub fn message(number: u32) -> Answer {
    json_answer(&json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "spare",
        "content": [{ "type": "text", "text": content(number) }],
        "stop_reason": "end_turn", "usage": { "input_tokens": 3, "output_tokens": tokens(number) },
    }))
}

/// A message as a stream; asked with this key, which an error in it quotes.
pub fn message_stream(number: u32, key: &str) -> Answer {
    let mut blocks = vec![
        event(&json!({ "type": "message_start", "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "spare", "content": [],
            "usage": { "input_tokens": 3, "output_tokens": 0 } } })),
        event(
            &json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        ),
    ];
    let words = pieces(number).into_iter();
    blocks.extend(words.map(|piece| {
        event(&json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": piece } }))
    }));
    blocks.push(event(&json!({ "type": "content_block_stop", "index": 0 })));
    blocks.push(event(&json!({
        "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": tokens(number) } })));
    Answer {
        content_type: "text/event-stream",
        blocks,
        terminator: Some(event(&json!({ "type": "message_stop" }))),
        error_event: Some(event(
            &serde_json::from_str(&error(529, key)).unwrap_or_default(),
        )),
    }
}

/// An error.
pub fn error(status: u16, key: &str) -> String {
    let kind = match status {
        401 => "authentication_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": format!("not with {key}") } })
        .to_string()
}

fn event(document: &Value) -> String {
    let name = document
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    format!("event: {name}\ndata: {document}\n\n")
}

//! Dify's API and its front end.

use serde_json::json;

use super::Answer;
use super::openai::json_answer;
use crate::content::{content, mark, pieces, tokens};

/// A run, whole.
pub fn run(number: u32) -> Answer {
    json_answer(&json!({
        "event": "message", "task_id": "t", "mode": "chat", "answer": content(number),
        "metadata": { "usage": { "prompt_tokens": 3, "completion_tokens": tokens(number) } },
    }))
}

/// A run as a stream.
pub fn run_stream(number: u32) -> Answer {
    let event = |document: serde_json::Value| format!("data: {document}\n\n");
    let words = pieces(number).into_iter();
    let blocks =
        words.map(|piece| event(json!({ "event": "message", "task_id": "t", "answer": piece })));
    Answer {
        content_type: "text/event-stream",
        blocks: blocks.collect(),
        terminator: Some(event(json!({
            "event": "message_end", "task_id": "t",
            "metadata": { "usage": { "prompt_tokens": 3, "completion_tokens": tokens(number) } } }))),
        error_event: Some(event(
            json!({ "event": "error", "status": 500, "code": "scripted", "message": "as the script has it" }),
        )),
    }
}

/// A page.
pub fn page(number: u32) -> Answer {
    Answer {
        content_type: "text/html; charset=utf-8",
        blocks: vec![format!("<html>{}</html>", mark(number))],
        terminator: None,
        error_event: None,
    }
}

/// A file that was taken.
pub fn upload(number: u32) -> Answer {
    json_answer(&json!({ "id": format!("file-{}", mark(number)), "name": "a.txt" }))
}

/// An error.
pub fn error(status: u16, _: &str) -> String {
    json!({ "code": "scripted", "message": "as the script has it", "status": status }).to_string()
}

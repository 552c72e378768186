//! Chats with a model API: requests, and the contract that every stream keeps (it is what Dify's SDK needs).

use serde_json::{Value, json};

/// A chat about `text` with a model.
pub fn chat_request(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// The same, streamed.
pub fn stream_request(model: &str, text: &str) -> Value {
    json!({"model": model, "stream": true, "messages": [{"role": "user", "content": text}]})
}

/// The text of an answer that was not streamed.
pub fn message(answer: &Value) -> &str {
    let content = answer.pointer("/choices/0/message/content");
    content.and_then(Value::as_str).unwrap_or_default()
}

/// A stream that kept the contract.
#[derive(Debug, Default)]
pub struct Chat {
    /// Its chunks, without an error.
    pub chunks: Vec<Value>,
    /// The error that ended it.
    pub error: Option<Value>,
    /// Whether `[DONE]` ended it.
    pub done: bool,
}

impl Chat {
    /// Reads a stream and asserts the contract: LF alone ends lines; a block is one `data: ` line, or comments
    /// alone; every object has `choices` or is an error; either `[DONE]` or an error is the last block, and
    /// nothing follows it.
    pub fn read(body: &str) -> Self {
        assert!(
            !body.contains('\r'),
            "a carriage return in the stream: {body:?}"
        );
        assert!(
            !body.contains('\u{feff}'),
            "a byte order mark in the stream: {body:?}"
        );
        assert!(
            body.ends_with("\n\n"),
            "the stream ends within a block: {body:?}"
        );
        let mut chat = Self::default();
        for block in body.trim_end_matches('\n').split("\n\n") {
            if block.lines().all(|line| line.starts_with(':')) {
                continue;
            }
            let data = block.strip_prefix("data: ");
            assert!(
                data.is_some_and(|data| !data.contains('\n')),
                "a block is one `data: ` line, not {block:?}, in {body:?}"
            );
            assert!(
                !chat.done && chat.error.is_none(),
                "{block:?} follows the end of {body:?}"
            );
            chat.take(data.unwrap_or_default());
        }
        assert!(
            chat.done || chat.error.is_some(),
            "neither [DONE] nor an error ends {body:?}"
        );
        chat
    }

    fn take(&mut self, data: &str) {
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        let value: Value = serde_json::from_str(data).unwrap_or_default();
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            assert!(
                error.get("message").is_some_and(Value::is_string),
                "no message: {data}"
            );
            self.error = Some(error.clone());
            return;
        }
        let choices = value.get("choices");
        assert!(choices.is_some_and(Value::is_array), "no `choices`: {data}");
        self.chunks.push(value);
    }

    /// The text of all chunks.
    pub fn text(&self) -> String {
        let content = |chunk: &Value| {
            let delta = chunk.pointer("/choices/0/delta/content");
            let text = chunk.pointer("/choices/0/text");
            delta.or(text).and_then(Value::as_str).map(str::to_owned)
        };
        self.chunks.iter().filter_map(content).collect()
    }

    /// The chunks with `choices: []`, which hold the usage.
    pub fn usage_chunks(&self) -> Vec<&Value> {
        let empty = |chunk: &&Value| chunk.pointer("/choices/0").is_none();
        self.chunks.iter().filter(empty).collect()
    }

    /// The finish reason.
    pub fn finish_reason(&self) -> Option<&str> {
        let reason = |chunk: &'_ Value| chunk.pointer("/choices/0/finish_reason").cloned();
        let position = self
            .chunks
            .iter()
            .position(|chunk| reason(chunk).is_some_and(|reason| reason.is_string()));
        self.chunks
            .get(position?)?
            .pointer("/choices/0/finish_reason")?
            .as_str()
    }
}

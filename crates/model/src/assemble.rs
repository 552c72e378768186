//! Streams that come where one document was asked for.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};
use spillway_failover::Failure;
use spillway_sse::Reader;

use crate::ProviderError;

/// More choices or tool calls than any provider gives.
const MOST_PARTS: usize = 1024;

/// Puts a stream's chunks together to the answer that was asked for.
///
/// # Errors
/// A stream that broke off, told of an error, or cannot be read.
pub fn as_document(stream: &[u8]) -> Result<Bytes, ProviderError> {
    let failed = |failure, error| ProviderError { failure, error };
    let mut reader = Reader::default();
    let read = reader.push(stream).and_then(|()| reader.finish());
    let mut answer = Answer::default();
    let mut is_done = false;
    while let Some(event) = reader.next_event() {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            is_done = true;
            break;
        }
        if data.is_empty() {
            continue;
        }
        let chunk: Map<String, Value> =
            serde_json::from_slice(data).map_err(|_| failed(Failure::Reset, None))?;
        let choices = chunk.get("choices").and_then(Value::as_array);
        let is_empty = choices.is_none_or(Vec::is_empty);
        match chunk.get("error") {
            Some(error) if !error.is_null() && is_empty => {
                return Err(failed(Failure::Status(502), Some(error.to_string())));
            }
            _ => answer.take(chunk),
        }
    }
    if read.is_err() {
        return Err(failed(Failure::Reset, None));
    }
    if !answer.is_complete(is_done) {
        return Err(failed(Failure::Truncated, None));
    }
    Ok(answer.into_document().to_string().into())
}

#[derive(Default)]
struct Answer {
    /// `id`, `model` and the like, as they first came.
    members: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
    usage: Option<Value>,
}

#[derive(Default)]
struct Choice {
    /// The message, or the members of a text completion's choice.
    said: Map<String, Value>,
    tool_calls: BTreeMap<u64, Map<String, Value>>,
    is_chat: bool,
    finish_reason: Option<Value>,
}

impl Answer {
    fn take(&mut self, chunk: Map<String, Value>) {
        for (name, value) in chunk {
            match (name.as_str(), value) {
                ("choices", Value::Array(choices)) => {
                    for choice in choices {
                        self.take_choice(choice);
                    }
                }
                ("usage", usage) => {
                    if usage.is_object() {
                        self.usage = Some(usage);
                    }
                }
                ("choices", _) | (_, Value::Null) => {}
                (_, value) => {
                    self.members.entry(name).or_insert(value);
                }
            }
        }
    }

    fn take_choice(&mut self, choice: Value) {
        let Value::Object(mut choice) = choice else {
            return;
        };
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        if self.choices.len() >= MOST_PARTS && !self.choices.contains_key(&index) {
            return;
        }
        let own = self.choices.entry(index).or_default();
        if let Some(reason) = choice
            .remove("finish_reason")
            .filter(|reason| !reason.is_null())
        {
            own.finish_reason = Some(reason);
        }
        match choice.remove("delta") {
            Some(Value::Object(delta)) => {
                own.is_chat = true;
                own.take_delta(delta);
            }
            _ => {
                if let Some(text @ Value::String(_)) = choice.remove("text") {
                    append(&mut own.said, "text", text);
                }
            }
        }
    }

    fn is_complete(&self, is_done: bool) -> bool {
        let all_ended = self
            .choices
            .values()
            .all(|choice| choice.finish_reason.is_some());
        !self.choices.is_empty() && (is_done || all_ended)
    }

    fn into_document(self) -> Value {
        let mut document = self.members;
        let is_chat = self.choices.values().any(|choice| choice.is_chat);
        let object = if is_chat {
            "chat.completion"
        } else {
            "text_completion"
        };
        document.insert("object".to_owned(), object.into());
        let choices = self
            .choices
            .into_iter()
            .map(|(index, choice)| choice.into_value(index))
            .collect();
        document.insert("choices".to_owned(), Value::Array(choices));
        if let Some(usage) = self.usage {
            document.insert("usage".to_owned(), usage);
        }
        Value::Object(document)
    }
}

impl Choice {
    fn take_delta(&mut self, delta: Map<String, Value>) {
        for (name, value) in delta {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("tool_calls", Value::Array(calls)) => {
                    for call in calls {
                        self.take_tool_call(call);
                    }
                }
                ("role", value) => {
                    self.said.insert(name, value);
                }
                (_, value) => append(&mut self.said, &name, value),
            }
        }
    }

    fn take_tool_call(&mut self, call: Value) {
        let Value::Object(call) = call else {
            return;
        };
        let last = self.tool_calls.keys().next_back().copied().unwrap_or(0);
        let index = call.get("index").and_then(Value::as_u64).unwrap_or(last);
        if self.tool_calls.len() >= MOST_PARTS && !self.tool_calls.contains_key(&index) {
            return;
        }
        let own = self.tool_calls.entry(index).or_default();
        for (name, value) in call {
            match (name.as_str(), value) {
                ("index", _) | (_, Value::Null) => {}
                ("function", Value::Object(function)) => {
                    let place = own
                        .entry("function")
                        .or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(place) = place {
                        for (name, value) in function {
                            append(place, &name, value);
                        }
                    }
                }
                (_, value) => {
                    own.entry(name).or_insert(value);
                }
            }
        }
    }

    fn into_value(self, index: u64) -> Value {
        let mut choice = Map::new();
        choice.insert("index".to_owned(), index.into());
        if self.is_chat {
            let mut message = self.said;
            message.entry("role").or_insert_with(|| "assistant".into());
            // Clients want the member even where there is no text.
            message.entry("content").or_insert(Value::Null);
            if !self.tool_calls.is_empty() {
                let calls = self.tool_calls.into_values().map(Value::Object).collect();
                message.insert("tool_calls".to_owned(), Value::Array(calls));
            }
            choice.insert("message".to_owned(), Value::Object(message));
        } else {
            choice.extend(self.said);
        }
        choice.insert(
            "finish_reason".to_owned(),
            self.finish_reason.unwrap_or_else(|| "stop".into()),
        );
        Value::Object(choice)
    }
}

/// Text goes on where it is text that was there, lists likewise; anything else is taken as it comes.
fn append(members: &mut Map<String, Value>, name: &str, value: Value) {
    match (members.get_mut(name), value) {
        (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
        (_, value) => {
            members.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stream(chunks: &[Value], done: bool) -> Vec<u8> {
        let mut text: String = chunks
            .iter()
            .map(|chunk| format!("data: {chunk}\n\n"))
            .collect();
        if done {
            text.push_str("data: [DONE]\n\n");
        }
        text.into_bytes()
    }

    fn assembled(chunks: &[Value]) -> Value {
        serde_json::from_slice(&as_document(&stream(chunks, true)).unwrap()).unwrap()
    }

    #[test]
    fn text_reasoning_and_tool_calls_are_put_together() {
        let choice = |delta: Value| json!({"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":delta}]});
        let answer = assembled(&[
            choice(json!({"role":"assistant","content":""})),
            choice(json!({"reasoning_content":"hm"})),
            choice(json!({"content":"Hel"})),
            choice(json!({"content":"lo"})),
            choice(
                json!({"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\""}}]}),
            ),
            choice(json!({"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]})),
            json!({"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}),
            json!({"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}),
        ]);
        assert_eq!(
            answer,
            json!({"id":"c","object":"chat.completion","model":"m",
                "choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"Hello",
                    "reasoning_content":"hm","tool_calls":[{"id":"t","type":"function",
                        "function":{"name":"f","arguments":"{\"a\":1}"}}]}}],
                "usage":{"prompt_tokens":1,"completion_tokens":2}})
        );
    }

    #[test]
    fn text_completions_and_several_choices_are_too() {
        let answer = assembled(&[
            json!({"choices":[{"index":1,"text":"b"},{"index":0,"text":"a"}]}),
            json!({"choices":[{"index":0,"text":"c","finish_reason":"stop"},{"index":1,"finish_reason":"length","text":""}]}),
        ]);
        assert_eq!(
            answer["choices"],
            json!([{"index":0,"text":"ac","finish_reason":"stop"},{"index":1,"text":"b","finish_reason":"length"}])
        );
        assert_eq!(answer["object"], "text_completion");
    }

    #[test]
    fn what_is_no_whole_answer_is_told_apart() {
        let delta = json!({"choices":[{"index":0,"delta":{"content":"x"}}]});
        let failure = |stream: &[u8]| as_document(stream).unwrap_err().failure;
        assert_eq!(
            failure(&stream(std::slice::from_ref(&delta), false)),
            Failure::Truncated
        );
        assert_eq!(failure(b""), Failure::Truncated);
        assert_eq!(failure(b"data: nonsense\n\n"), Failure::Reset);
        for last in [
            json!({"error":{"message":"m"}}),
            json!({"error":{"message":"m"},"choices":[]}),
        ] {
            let error = as_document(&stream(&[delta.clone(), last], true)).unwrap_err();
            assert_eq!(error.failure, Failure::Status(502));
            assert_eq!(error.error.as_deref(), Some(r#"{"message":"m"}"#));
        }
    }
}

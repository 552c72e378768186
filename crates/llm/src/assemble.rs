//! Streams that come where one document was asked for.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};
use spillway_sse::Reader;
use spillway_upstream::Failure;

use crate::ProviderError;
use crate::assembled_choice::{AssembledChoice, MAX_PARTS, number};
use crate::events::{Data, Line, lines};
use crate::said::{Said, error_of};
use spillway_json as json;

/// So many members and elements are put together at most: as a tree each takes a hundred bytes.
const MAX_VALUES: usize = 4_000_000;

/// Puts a stream's chunks together to the answer that was asked for.
///
/// # Errors
/// A stream that broke off, told of an error, or cannot be read.
pub fn as_document(stream: &[u8]) -> Result<Bytes, ProviderError> {
    if memchr::memchr3_iter(b',', b'{', b'[', stream).count() > MAX_VALUES {
        return Err(ProviderError::too_large(
            "The model streamed an answer of more than 4,000,000 members, the most that the gateway puts together.",
        ));
    }
    let mut reader = Reader::default().taking_strays();
    let read = reader.push(stream).and_then(|()| reader.finish());
    let mut answer = Answer::default();
    let mut is_done = false;
    'stream: while let Some(event) = reader.next_event() {
        for line in lines(&event) {
            match line {
                Line::Done => {
                    is_done = true;
                    break 'stream;
                }
                Line::Failed(error) => return Err(error),
                Line::Data(data) => answer.read_data(&data)?,
            }
        }
    }
    if let (Err(error), false) = (read, is_done) {
        return Err(ProviderError::oversized(&error));
    }
    if !answer.is_complete(is_done) {
        return Err(ProviderError::bare(Failure::Truncated));
    }
    Ok(answer.into_document().to_string().into())
}

#[derive(Default)]
struct Answer {
    /// `id`, `model` and the like, as they first came.
    members: Map<String, Value>,
    choices: BTreeMap<i64, AssembledChoice>,
    usage: Option<Value>,
}

impl Answer {
    fn read_data(&mut self, data: &Data<'_>) -> Result<(), ProviderError> {
        let document = data.document();
        let error = match Said::of(document) {
            Some(said) => said.error(document),
            None => error_of(document),
        };
        if let Some(error) = error {
            return Err(error);
        }
        if let Some(Value::Object(chunk)) = json::value(document.get().as_bytes()) {
            self.take(chunk);
        }
        Ok(())
    }

    fn take(&mut self, chunk: Map<String, Value>) {
        for (name, value) in chunk {
            match (name.as_str(), value) {
                ("choices", Value::Array(choices)) => {
                    for choice in choices {
                        self.read_choice(choice);
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

    fn read_choice(&mut self, choice: Value) {
        let Value::Object(mut choice) = choice else {
            return;
        };
        let index = choice
            .remove("index")
            .as_ref()
            .and_then(number)
            .unwrap_or(0);
        if self.choices.len() >= MAX_PARTS && !self.choices.contains_key(&index) {
            return;
        }
        self.choices.entry(index).or_default().take(choice);
    }

    fn is_complete(&self, is_done: bool) -> bool {
        let all_ended = self.choices.values().all(AssembledChoice::has_ended);
        !self.choices.is_empty() && (is_done || all_ended)
    }

    fn into_document(self) -> Value {
        let mut document = self.members;
        let is_chat = self.choices.values().any(AssembledChoice::is_chat);
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
        assert_eq!(failure(b"data: {nonsense\n\n"), Failure::Reset);
        assert_eq!(failure(b"data: nonsense\n\n"), Failure::Status(502));
        let many = format!(
            "data: {{\"choices\":[{}{{}}]}}\n\n",
            "{},".repeat(2_100_000)
        );
        assert_eq!(failure(many.as_bytes()), Failure::TooLarge);
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

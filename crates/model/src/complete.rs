//! Answers that come in one piece.

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use spillway_failover::Failure;
use spillway_sse::write_event;

use crate::Usage;
use crate::choice::{Choice, Finish};
use crate::said::{ProviderError, Said, error_of};
use spillway_json::{self as json, Members, elements, is_filled, sound};

/// What a provider's 200 really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspected {
    /// An answer, with its token counts where it has them.
    Answer(Option<Usage>),
    /// No answer, though the status said so; with the provider's error object where it sent one.
    Failed(Failure, Option<String>),
}

/// The largest answer in one piece that becomes a stream.
const MAX_STREAMED_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// How many choices such an answer may have.
const MAX_STREAMED_CHOICES: usize = 128;

/// The longest text beside the choices that each chunk repeats: ids, names of models, fingerprints.
const MAX_REPEATED_BYTES: usize = 512;

/// Looks into the body of a 200. An answer has choices, or the `data` of embeddings.
pub fn inspect(body: &[u8]) -> Inspected {
    match strictly(body) {
        Some(inspected) => inspected,
        None => match sound(body) {
            Some(sound) => strictly(&sound).unwrap_or(UNREADABLE),
            None => UNREADABLE,
        },
    }
}

/// The same, with the body as clients read it.
pub(crate) fn inspect_readable(body: Bytes) -> (Bytes, Inspected) {
    if let Some(inspected) = strictly(&body) {
        return (body, inspected);
    }
    match sound(&body).map(|sound| Bytes::from(sound.into_owned())) {
        Some(sound) => {
            let inspected = strictly(&sound).unwrap_or(UNREADABLE);
            (sound, inspected)
        }
        None => (body, UNREADABLE),
    }
}

const UNREADABLE: Inspected = Inspected::Failed(Failure::Reset, None);

/// `None` where it is no JSON.
fn strictly(body: &[u8]) -> Option<Inspected> {
    let failed = |error: ProviderError| Inspected::Failed(error.failure, error.error);
    match serde_json::from_slice::<&RawValue>(body.trim_ascii()) {
        Ok(document) => Some(look_into(document).unwrap_or_else(failed)),
        Err(error) if error.is_eof() => Some(Inspected::Failed(Failure::Truncated, None)),
        Err(_) => None,
    }
}

fn look_into(document: &RawValue) -> Result<Inspected, ProviderError> {
    let Some(members) = Members::of(document) else {
        return Err(error_of(document).unwrap_or(ProviderError::bare(Failure::Truncated)));
    };
    let list = |name: &str| {
        let list = members.get(name);
        list.filter(|list| list.get().starts_with('['))
    };
    let tells = |error: &RawValue| is_filled(error) && error.get().starts_with(['{', '"', '[']);
    let has_error = members.get("error").is_some_and(tells);
    let choices = list("choices").filter(|choices| is_filled(choices));
    let data = list("data");
    let usage = members.get("usage");
    let answer = || {
        let usage = usage.and_then(|usage| serde_json::from_str(usage.get()).ok());
        Ok(Inspected::Answer(usage))
    };
    match (choices, data) {
        // So large an answer is one.
        (Some(choices), _) if choices.get().len() > MAX_STREAMED_DOCUMENT_BYTES => answer(),
        (Some(choices), _) => {
            let choices = elements(choices)
                .into_iter()
                .filter_map(Choice::of)
                .collect();
            let said = Said {
                members: Members::of(document).unwrap_or_default(),
                choices,
            };
            let has_failed = said.choices.iter().any(|choice| {
                choice.error().is_some() || matches!(choice.finish(), Finish::Failed(_))
            });
            // Clients do not look for an error beside an answer that says something.
            if has_failed || (has_error && !said.has_content()) {
                return Err(said
                    .error(document)
                    .unwrap_or(ProviderError::bare(Failure::Truncated)));
            }
            answer()
        }
        // No texts were sent, so no vectors came; but beside an error an empty list says nothing.
        (None, Some(data)) if is_filled(data) || !has_error => answer(),
        _ => Err(error_of(document).unwrap_or(ProviderError::bare(Failure::Truncated))),
    }
}

/// A complete answer as the stream that the client asked for: one chunk with the text, one with the end, usage
/// where wanted, `[DONE]`. `None` where the answer has no choices: a stream that says nothing would pass for an answer.
///
/// It is read as a tree, many times its own size, and every choice repeats what stands beside the choices. So documents
/// are 4 MiB and choices 128 (OpenAI's own limit of `n`) at most, else `None` as well, and of the members beside the
/// choices large ones stay behind.
pub(crate) fn as_stream(body: &[u8], wants_usage: bool) -> Option<Vec<u8>> {
    if body.len() > MAX_STREAMED_DOCUMENT_BYTES {
        return None;
    }
    let Value::Object(mut answer) = json::value(body)? else {
        return None;
    };
    let Some(Value::Array(choices)) = answer.remove("choices") else {
        return None;
    };
    if choices.is_empty() || choices.len() > MAX_STREAMED_CHOICES {
        return None;
    }
    let usage = answer.remove("usage");
    answer.retain(|name, value| {
        let is_small = match value {
            Value::String(text) => text.len() <= MAX_REPEATED_BYTES,
            Value::Array(_) | Value::Object(_) => false,
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        };
        is_small && name.len() <= MAX_REPEATED_BYTES
    });
    if answer
        .get("object")
        .is_some_and(|object| object == "chat.completion")
    {
        answer.insert("object".to_owned(), "chat.completion.chunk".into());
    }
    let mut stream = Vec::new();
    let mut push = |choices: Vec<Value>, usage: Option<Value>| {
        let mut chunk = answer.clone();
        chunk.insert("choices".to_owned(), choices.into());
        if let Some(usage) = usage {
            chunk.insert("usage".to_owned(), usage);
        }
        write_event(
            &mut stream,
            None,
            Value::Object(chunk).to_string().as_bytes(),
        );
    };
    for mut choice in choices {
        let finish_reason = choice
            .get("finish_reason")
            .cloned()
            .unwrap_or_else(|| "stop".into());
        let index = choice.get("index").cloned().unwrap_or_else(|| 0.into());
        let members = choice.as_object_mut()?;
        let is_chat = members.contains_key("message");
        if let Some(mut message) = members.remove("message") {
            number_tool_calls(&mut message);
            members.insert("delta".to_owned(), message);
        }
        members.insert("finish_reason".to_owned(), Value::Null);
        push(vec![choice], None);
        let content = if is_chat {
            ("delta", Value::Object(Map::new()))
        } else {
            ("text", "".into())
        };
        push(
            vec![Value::Object(Map::from_iter([
                ("index".to_owned(), index),
                (content.0.to_owned(), content.1),
                ("finish_reason".to_owned(), finish_reason),
            ]))],
            None,
        );
    }
    if wants_usage && let Some(usage) = usage {
        push(Vec::new(), Some(usage));
    }
    write_event(&mut stream, None, b"[DONE]");
    Some(stream)
}

/// In a stream every tool call says which one it is.
fn number_tool_calls(message: &mut Value) {
    if let Some(calls) = message.get_mut("tool_calls").and_then(Value::as_array_mut) {
        for (index, call) in calls.iter_mut().enumerate() {
            if let Some(call) = call.as_object_mut() {
                call.insert("index".to_owned(), index.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_what_only_claims_to_be_one() {
        let usage = Usage {
            input: 3,
            output: 4,
        };
        for (body, inspected) in [
            (
                r#"{"choices":[{}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
                Inspected::Answer(Some(usage)),
            ),
            (r#"{"data":[],"usage":null}"#, Inspected::Answer(None)),
            (
                r#"{"choices":[{}],"usage":{"prompt_tokens":3.0,"completion_tokens":4,"x":{}}}"#,
                Inspected::Answer(Some(usage)),
            ),
            (r#"{"choices":[{}],"error":null}"#, Inspected::Answer(None)),
            (
                r#"{"choices":[{"text":"x"}],"error":{"message":"m"}}"#,
                Inspected::Answer(None),
            ),
            (
                r#"{"choices":[{}],"error":{"message":"m"}}"#,
                Inspected::Failed(Failure::Status(502), Some(r#"{"message":"m"}"#.to_owned())),
            ),
            (
                r#"{"choices":[],"error":{"message":"m"}}"#,
                Inspected::Failed(Failure::Status(502), Some(r#"{"message":"m"}"#.to_owned())),
            ),
            (
                r#"{"data":[],"error":"m"}"#,
                Inspected::Failed(Failure::Status(502), Some(r#"{"message":"m"}"#.to_owned())),
            ),
            (
                r#"{"choices":[ ],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
                Inspected::Failed(Failure::Truncated, None),
            ),
            (
                r#"{"choices":null,"error":""}"#,
                Inspected::Failed(Failure::Truncated, None),
            ),
            ("{}", Inspected::Failed(Failure::Truncated, None)),
            (
                r#"{"data":null}"#,
                Inspected::Failed(Failure::Truncated, None),
            ),
            (
                r#" [null,null,[1],[1]]"#,
                Inspected::Failed(Failure::Truncated, None),
            ),
            (
                r#"{"error":{"message":"m"}}"#,
                Inspected::Failed(Failure::Status(502), Some(r#"{"message":"m"}"#.to_owned())),
            ),
            ("", Inspected::Failed(Failure::Truncated, None)),
            (" \n", Inspected::Failed(Failure::Truncated, None)),
            (
                r#"{"choices":["#,
                Inspected::Failed(Failure::Truncated, None),
            ),
            ("<html>busy</html>", Inspected::Failed(Failure::Reset, None)),
        ] {
            assert_eq!(inspect(body.as_bytes()), inspected, "{body}");
        }
    }

    #[test]
    fn an_answer_without_choices_is_no_stream() {
        for body in [
            r#"{"choices":[]}"#,
            r#"{"error":{"message":"m"},"choices":[]}"#,
            "{}",
            "[]",
            &format!(r#"{{"choices":[{}{{}}]}}"#, "{},".repeat(128)),
            &format!(r#"{{"choices":[{{"text":"{}"}}]}}"#, "x".repeat(4 << 20)),
        ] {
            assert_eq!(as_stream(body.as_bytes(), true), None, "{body}");
        }
        assert!(as_stream(br#"{"choices":[{"text":"x"}]}"#, true).is_some());
    }

    #[test]
    fn what_every_chunk_would_repeat_is_small() {
        let large = "x".repeat(1 << 20);
        let body = format!(
            r#"{{"id":"c","large":"{large}","nested":[1],"choices":[{}{{"text":"y"}}]}}"#,
            r#"{"text":"x"},"#.repeat(127)
        );
        let stream = as_stream(body.as_bytes(), true).unwrap();
        assert!(stream.len() < 100_000, "{}", stream.len());
        assert!(String::from_utf8(stream).unwrap().contains(r#""id":"c""#));
    }
}

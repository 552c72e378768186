//! Answers that come in one piece where a stream was asked for.

use serde_json::{Map, Value};
use spillway_json as json;
use spillway_sse::write_event;

/// The largest answer in one piece that becomes a stream.
pub(crate) const MAX_STREAMED_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// How many choices such an answer may have.
const MAX_STREAMED_CHOICES: usize = 128;

/// The longest text beside the choices that each chunk repeats: ids, names of models, fingerprints.
const MAX_REPEATED_BYTES: usize = 512;

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

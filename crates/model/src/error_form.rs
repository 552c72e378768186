//! Errors in OpenAI's form, however a provider writes them.

use http::StatusCode;
use serde_json::{Map, Value};
use spillway_forward::openai_error;

/// The longest error that is read, in bytes. Whatever is longer repeats the request; of it only a beginning is told.
pub(crate) const MAX_ERROR_BYTES: usize = 16 * 1024;

/// A provider's error document as OpenAI would write it: `{"error": {"message", "type", "param", "code"}}`, with the
/// provider's own message, type and code, and whatever else stands in the error. `None` where it is no error that can
/// be read, or longer than [`MAX_ERROR_BYTES`].
///
/// Known forms: OpenAI's; a text as `error` (Ollama, llama.cpp); numbers as codes (OpenRouter, Gemini); members of the
/// document itself (vLLM, Model Studio); Anthropic's.
pub(crate) fn in_one_form(status: StatusCode, body: &[u8]) -> Option<Value> {
    if body.len() > MAX_ERROR_BYTES {
        return None;
    }
    let Value::Object(mut document) = serde_json::from_slice(body).ok()? else {
        return None;
    };
    let mut error = match document.remove("error") {
        Some(Value::Object(error)) => error,
        Some(Value::String(message)) => Map::from_iter([("message".to_owned(), message.into())]),
        Some(_) => return None,
        None if document.get("message").is_some_and(Value::is_string) => {
            document
                .retain(|name, _| matches!(name.as_str(), "message" | "type" | "param" | "code"));
            document
        }
        None => return None,
    };
    let message = match error.remove("message") {
        Some(Value::String(message)) => message,
        None | Some(Value::Null) => format!("The model provider answered {status}."),
        Some(other) => other.to_string(),
    };
    let ours = openai_error(status, "", &message);
    let kind = ours.pointer("/error/type").cloned().unwrap_or_default();
    error.insert("message".to_owned(), message.into());
    if !error.get("type").is_some_and(Value::is_string) {
        error.insert("type".to_owned(), kind);
    }
    for name in ["param", "code"] {
        let value = match error.remove(name) {
            Some(text @ Value::String(_)) => text,
            Some(Value::Number(number)) => number.to_string().into(),
            _ => Value::Null,
        };
        error.insert(name.to_owned(), value);
    }
    Some(Value::Object(Map::from_iter([(
        "error".to_owned(),
        Value::Object(error),
    )])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_becomes_one() {
        let form = |body: Value| in_one_form(StatusCode::BAD_REQUEST, body.to_string().as_bytes());
        let expected = |kind: &str, code: Value| {
            Some(json!({"error": {"message": "m", "type": kind, "param": null, "code": code}}))
        };
        let ours = "invalid_request_error";
        for (body, wanted) in [
            (
                json!({"error": {"message": "m", "type": "t", "param": null, "code": "c"}}),
                expected("t", json!("c")),
            ),
            (json!({"error": "m"}), expected(ours, Value::Null)),
            (
                json!({"error": {"message": "m", "code": 400}}),
                expected(ours, json!("400")),
            ),
            (
                json!({"object": "error", "message": "m", "type": "T", "param": null, "code": 400}),
                expected("T", json!("400")),
            ),
            (
                json!({"code": "InvalidParameter", "message": "m", "request_id": "r"}),
                expected(ours, json!("InvalidParameter")),
            ),
            (
                json!({"type": "error", "error": {"type": "t", "message": "m"}}),
                expected("t", Value::Null),
            ),
            (json!({"detail": "m"}), None),
            (json!({"error": [1]}), None),
            (json!([]), None),
        ] {
            assert_eq!(form(body.clone()), wanted, "{body}");
        }
        let more = form(json!({"error": {"message": {"a": 1}, "innererror": {"b": 2}}})).unwrap();
        assert_eq!(more["error"]["message"], "{\"a\":1}");
        assert_eq!(more["error"]["innererror"]["b"], 2);
    }
}

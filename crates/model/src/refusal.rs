//! What kind of error a provider's words tell of.

use serde_json::Value;
use spillway_failover::Failure;

/// Statuses with which providers refuse a request for what it asks.
const REFUSALS: [u16; 4] = [400, 403, 413, 422];

/// An answer that says nothing is no longer than this, whatever a filter's own report adds to it.
const MAX_EMPTY_ANSWER_BYTES: usize = 64 * 1024;

/// How providers say that a request is longer than the model takes: OpenAI, Azure, vLLM, SGLang, Anthropic, Gemini,
/// Model Studio, llama.cpp, Mistral.
const TOO_LONG: [&str; 10] = [
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "exceed_context_size",
    "exceeds the available context size",
    "prompt is too long",
    "input token count",
    "range of input length should be",
    "longer than the model's context",
    "exceeds the model's maximum context",
];

/// How providers say that their content filter stopped a request: OpenAI, Azure, Model Studio, Zhipu, Gemini.
const FILTERED: [&str; 7] = [
    "content_filter",
    "content_policy_violation",
    "content management policy",
    "data_inspection_failed",
    "datainspectionfailed",
    "inappropriate content",
    "prohibited_content",
];

/// The failure that an error answer tells of.
pub(crate) fn failure_of(status: u16, body: &[u8]) -> Failure {
    if !REFUSALS.contains(&status) {
        return Failure::Status(status);
    }
    let Some(words) = words(body) else {
        return Failure::Status(status);
    };
    if TOO_LONG.iter().any(|sign| words.contains(sign)) {
        Failure::ContextLength(status)
    } else if FILTERED.iter().any(|sign| words.contains(sign)) {
        Failure::ContentFilter(status)
    } else {
        Failure::Status(status)
    }
}

/// Code, type and message of an error, in lower case. Nothing else of the answer: it may quote the request.
fn words(body: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let error = document.get("error").unwrap_or(&document);
    let of = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let text = error.as_str().unwrap_or_default();
    Some(format!("{} {} {} {text}", of("code"), of("type"), of("message")).to_lowercase())
}

/// Whether a content filter ended every choice of an answer before it said anything.
pub(crate) fn is_emptied_by_filter(body: &[u8]) -> bool {
    if body.len() > MAX_EMPTY_ANSWER_BYTES {
        return false;
    }
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    let Some(choices) = answer.get("choices").and_then(Value::as_array) else {
        return false;
    };
    !choices.is_empty()
        && choices.iter().all(|choice| {
            let is_empty = |pointer: &str| match choice.pointer(pointer) {
                None | Some(Value::Null) => true,
                Some(Value::String(text)) => text.is_empty(),
                Some(Value::Array(list)) => list.is_empty(),
                Some(_) => false,
            };
            choice.get("finish_reason").and_then(Value::as_str) == Some("content_filter")
                && is_empty("/message/content")
                && is_empty("/message/tool_calls")
                && is_empty("/text")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_words_are_understood() {
        let long = Failure::ContextLength(400);
        let filtered = Failure::ContentFilter(400);
        for (body, expected) in [
            (
                r#"{"error":{"code":"context_length_exceeded","message":"x"}}"#,
                long,
            ),
            (
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#,
                long,
            ),
            (
                r#"{"object":"error","message":"This model's maximum context length is 4096","code":400}"#,
                long,
            ),
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 > 1"}}"#,
                long,
            ),
            (r#"{"error":"exceeds the available context size"}"#, long),
            (
                r#"{"error":{"code":"data_inspection_failed","message":"m"}}"#,
                filtered,
            ),
            (
                r#"{"error":{"code":"content_filter","message":"m"}}"#,
                filtered,
            ),
            (
                r#"{"error":{"message":"the response was filtered due to Azure OpenAI's content management policy"}}"#,
                filtered,
            ),
            (
                r#"{"error":{"message":"bad temperature","param":"context window"}}"#,
                Failure::Status(400),
            ),
            ("no JSON, context_length_exceeded", Failure::Status(400)),
            ("[]", Failure::Status(400)),
        ] {
            assert_eq!(failure_of(400, body.as_bytes()), expected, "{body}");
        }
        let long_text = br#"{"error":{"code":"context_length_exceeded"}}"#;
        assert_eq!(failure_of(500, long_text), Failure::Status(500));
        assert_eq!(failure_of(413, long_text), Failure::ContextLength(413));
    }

    #[test]
    fn an_answer_that_the_filter_emptied_is_told_from_one_that_it_cut() {
        for (body, expected) in [
            (
                r#"{"choices":[{"finish_reason":"content_filter","message":{"content":""}}]}"#,
                true,
            ),
            (
                r#"{"choices":[{"finish_reason":"content_filter","message":{"content":null}}]}"#,
                true,
            ),
            (
                r#"{"choices":[{"finish_reason":"content_filter","message":{"content":"half of"}}]}"#,
                false,
            ),
            (
                r#"{"choices":[{"finish_reason":"stop","message":{"content":""}}]}"#,
                false,
            ),
            (r#"{"choices":[]}"#, false),
            ("{}", false),
        ] {
            assert_eq!(is_emptied_by_filter(body.as_bytes()), expected, "{body}");
        }
    }
}

//! One choice of an answer, or of a chunk of one.

use serde_json::value::RawValue;

use spillway_json::{Members, index, is_filled, text};

/// Ends that mean that the provider failed, in lower case, and who says them: OpenRouter, vLLM and Cohere; Zhipu; DeepSeek;
/// vLLM and SGLang; proxies.
const FAILED: [&str; 10] = [
    "error",
    "network_error",
    "insufficient_system_resource",
    "abort",
    "aborted",
    "failed",
    "timeout",
    "internal_error",
    "server_error",
    "cancelled",
];

/// Ends that mean that a filter stopped the answer: OpenAI's word, Zhipu's and Cohere's.
const FILTERED: [&str; 3] = ["content_filter", "sensitive", "error_toxic"];

/// Members of a piece that are the answer itself, not thoughts about it.
const ANSWERS: [&str; 6] = ["content", "tool_calls", "function_call", "refusal", "audio", "images"];

/// How a choice ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It has not.
    Open,
    /// As it should.
    Ended,
    /// By a content filter.
    Filtered,
    /// By a failure, which the provider names so.
    Failed(String),
}

/// A choice, its members unread.
#[derive(Debug)]
pub(crate) struct Choice<'a>(Members<'a>);

impl<'a> Choice<'a> {
    pub(crate) fn of(value: &'a RawValue) -> Option<Self> {
        Members::of(value).map(Self)
    }

    /// Which of the choices; clients take the first for one that does not say.
    pub(crate) fn index(&self) -> i64 {
        self.0.get("index").and_then(index).unwrap_or_default()
    }

    pub(crate) fn finish(&self) -> Finish {
        let Some(reason) = self
            .0
            .get("finish_reason")
            .filter(|reason| is_filled(reason))
        else {
            return Finish::Open;
        };
        // SGLang writes an object, with the reason as its `type`.
        let named = Members::of(reason).and_then(|reason| text(reason.get("type")?));
        let reason = named.or_else(|| text(reason)).unwrap_or_default().to_lowercase();
        match reason.as_str() {
            // The text of Python's and JavaScript's nothing.
            "null" | "none" | "undefined" => Finish::Open,
            failed if FAILED.contains(&failed) => Finish::Failed(reason),
            filtered if FILTERED.contains(&filtered) => Finish::Filtered,
            _ => Finish::Ended,
        }
    }

    /// The error that stands in it, or in its piece.
    pub(crate) fn error(&self) -> Option<&'a RawValue> {
        let within = || self.0.get("delta").and_then(Members::of)?.get("error");
        let found = self.0.get("error").or_else(within);
        found.filter(|error| is_filled(error) && error.get() != "false")
    }

    /// Its members but for the error, as they came.
    pub(crate) fn without_error(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .filter(|(name, _)| *name != "error")
            .map(|(name, value)| {
                let piece = (name == "delta").then(|| Members::of(value)).flatten();
                let value = piece.map_or_else(
                    || value.get().to_owned(),
                    |piece| piece.written_without("error"),
                );
                format!("{}:{value}", serde_json::Value::from(name))
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// Whether it has something of the answer itself.
    pub(crate) fn answers(&self) -> bool {
        let is_said = |value: &RawValue| is_filled(value) && value.get().starts_with(['"', '[', '{']);
        let in_piece = |name: &str| {
            let piece = self.0.get(name).and_then(Members::of);
            piece.is_some_and(|piece| {
                ANSWERS.iter().any(|name| piece.get(name).is_some_and(is_said))
            })
        };
        self.0.get("text").is_some_and(is_said) || in_piece("delta") || in_piece("message")
    }

    /// Whether it says anything: text, a tool call, a refusal, a picture.
    pub(crate) fn has_content(&self) -> bool {
        // Flags and counters say nothing.
        let is_text = |value: &RawValue| is_filled(value) && value.get().starts_with(['"', '[', '{']);
        let is_said = |name: &str| self.0.get(name).is_some_and(is_text);
        let says = |name: &str| {
            let message = self.0.get(name).and_then(Members::of);
            message.is_some_and(|message| {
                message
                    .iter()
                    .any(|(name, value)| !matches!(name, "role" | "name" | "error") && is_text(value))
            })
        };
        is_said("text") || says("delta") || says("message")
    }
}

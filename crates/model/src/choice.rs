//! One choice of an answer, or of a chunk of one.

use serde_json::value::RawValue;

use spillway_json::{Members, index, is_filled, text};

/// Ends that mean that the provider failed, and who says them: OpenRouter and vLLM; Zhipu; DeepSeek; vLLM and SGLang.
const FAILED: [&str; 4] = [
    "error",
    "network_error",
    "insufficient_system_resource",
    "abort",
];

/// Ends that mean that a filter stopped the answer: OpenAI's word, and Zhipu's.
const FILTERED: [&str; 2] = ["content_filter", "sensitive"];

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
        let reason = text(reason).unwrap_or_default();
        match reason.as_str() {
            // The text of Python's and JavaScript's nothing.
            "null" | "None" | "undefined" => Finish::Open,
            failed if FAILED.contains(&failed) => Finish::Failed(reason),
            filtered if FILTERED.contains(&filtered) => Finish::Filtered,
            _ => Finish::Ended,
        }
    }

    /// The error that stands in it.
    pub(crate) fn error(&self) -> Option<&'a RawValue> {
        self.0
            .get("error")
            .filter(|error| is_filled(error) && error.get() != "false")
    }

    /// Whether it says anything: text, a tool call, a refusal, a picture.
    pub(crate) fn has_content(&self) -> bool {
        let is_said = |name: &str| self.0.get(name).is_some_and(is_filled);
        let says = |name: &str| {
            let message = self.0.get(name).and_then(Members::of);
            message.is_some_and(|message| {
                message
                    .iter()
                    .any(|(name, value)| !matches!(name, "role" | "name") && is_filled(value))
            })
        };
        is_said("text") || says("delta") || says("message")
    }
}

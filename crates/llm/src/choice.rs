//! One choice of an answer, or of a chunk of one.

use serde_json::value::RawValue;

use spillway_json::{Members, index, is_filled, text};

use spillway_tokens::weigh_said;

/// Ends that mean that the provider failed, in lower case, and who says them: OpenRouter, vLLM and Cohere; Zhipu;
/// DeepSeek; vLLM and SGLang; proxies.
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
const ANSWERS: [&str; 6] = [
    "content",
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
    "images",
];

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

/// A choice, what it says unread.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    members: Members<'a>,
    /// `delta`, and `message`: some engines write the second in the place of the first.
    pieces: [Option<Members<'a>>; 2],
    finish: Finish,
}

impl<'a> Choice<'a> {
    pub(crate) fn of(value: &'a RawValue) -> Option<Self> {
        let members = Members::of(value)?;
        let pieces = ["delta", "message"].map(|name| members.get(name).and_then(Members::of));
        let finish = members.get("finish_reason").map_or(Finish::Open, finish);
        Some(Self {
            members,
            pieces,
            finish,
        })
    }

    /// Which of the choices; clients take the first for one that does not say.
    pub(crate) fn index(&self) -> i64 {
        self.members
            .get("index")
            .and_then(index)
            .unwrap_or_default()
    }

    pub(crate) fn finish(&self) -> &Finish {
        &self.finish
    }

    /// The error that stands in it, or in its piece.
    pub(crate) fn error(&self) -> Option<&'a RawValue> {
        let mut places = std::iter::once(&self.members).chain(self.pieces());
        places
            .find_map(|place| place.get("error"))
            .filter(|error| tells(error))
    }

    /// As it came, but for the error.
    pub(crate) fn without_error(&self) -> String {
        let [delta, message] = &self.pieces;
        self.members.written(|name, value| {
            let piece = match name {
                "error" => return None,
                "delta" => delta.as_ref(),
                "message" => message.as_ref(),
                _ => None,
            };
            let without = |name: &str, value: &'a RawValue| (name != "error").then(|| value.get());
            Some(piece.map_or_else(|| value.get().to_owned(), |piece| piece.written(without)))
        })
    }

    /// Whether it has something of the answer itself.
    pub(crate) fn answers(&self) -> bool {
        let answers = |piece: &Members<'a>| {
            let mut said = ANSWERS.iter().filter_map(|name| piece.get(name));
            said.any(is_said)
        };
        self.members.get("text").is_some_and(is_said) || self.pieces().any(answers)
    }

    /// Whether it says anything: text, a thought, a tool call, a refusal, a picture.
    pub(crate) fn has_content(&self) -> bool {
        let says = |piece: &Members<'a>| {
            let mut members = piece.iter();
            members
                .any(|(name, value)| !matches!(name, "role" | "name" | "error") && is_said(value))
        };
        self.members.get("text").is_some_and(is_said) || self.pieces().any(says)
    }

    /// What it says weighs so much, in hundredths of a token.
    pub(crate) fn weight(&self) -> u64 {
        let said = |(name, value): (&str, &'a RawValue)| match name {
            "role" | "name" | "error" | "annotations" => 0,
            _ => weigh_said(value.get().as_bytes()),
        };
        let text = self.members.get("text");
        let text = text.map_or(0, |text| weigh_said(text.get().as_bytes()));
        let pieces = self.pieces().flat_map(Members::iter).map(said);
        pieces.sum::<u64>().saturating_add(text)
    }

    fn pieces(&self) -> impl Iterator<Item = &Members<'a>> {
        self.pieces.iter().flatten()
    }
}

/// Whether a member that is named so is an error, and no sign that there is none.
pub(crate) fn tells(error: &RawValue) -> bool {
    is_filled(error) && error.get() != "false"
}

fn finish(reason: &RawValue) -> Finish {
    if !is_filled(reason) {
        return Finish::Open;
    }
    // SGLang writes an object, with the reason as its `type`.
    let named = Members::of(reason).and_then(|reason| text(reason.get("type")?));
    let reason = named.or_else(|| text(reason)).unwrap_or_default();
    let reason = reason.to_lowercase();
    match reason.as_str() {
        // The text of Python's and JavaScript's nothing.
        "null" | "none" | "undefined" => Finish::Open,
        failed if FAILED.contains(&failed) => Finish::Failed(reason),
        filtered if FILTERED.contains(&filtered) => Finish::Filtered,
        _ => Finish::Ended,
    }
}

/// Flags and counters say nothing.
fn is_said(value: &RawValue) -> bool {
    is_filled(value) && value.get().starts_with(['"', '[', '{'])
}

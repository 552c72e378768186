//! What a provider says in one piece of its answer: content, the end, or that something went wrong.

use serde_json::value::RawValue;
use spillway_upstream::Failure;

use crate::choice::{Choice, Finish, tells};
use crate::error_form::{MAX_ERROR_BYTES, UpstreamError};
use crate::refusal::failure_within_success;
use spillway_json::{self as json, Members, elements, is_filled};

/// What some providers send in the place of a comment, so that the connection is not taken for a dead one.
const PINGS: [&str; 7] = [
    "",
    "null",
    "ping",
    "pong",
    "keep-alive",
    "keepalive",
    "heartbeat",
];

/// The longest words of an error that are in no form.
const MAX_WORDS_BYTES: usize = 500;

/// An error inside an answer that had begun with 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// Its kind.
    pub failure: Failure,
    /// The provider's error object as JSON, where it sent one.
    pub error: Option<String>,
}

/// A chunk, or a document: what the gateway reads of it.
#[derive(Debug, Default)]
pub(crate) struct Said<'a> {
    pub members: Members<'a>,
    pub choices: Vec<Choice<'a>>,
}

impl ProviderError {
    /// An event that is larger than the gateway reads: it would be again, so nobody is asked twice.
    pub(crate) fn oversized(error: &spillway_sse::Error) -> Self {
        let spillway_sse::Error::TooLarge { limit } = error;
        let words = format!(
            "The model sent an event of more than {} MiB, the most that the gateway reads.",
            limit >> 20
        );
        Self::too_large(&words)
    }

    pub(crate) fn too_large(words: &str) -> Self {
        Self {
            failure: Failure::TooLarge,
            ..Self::of_text(words)
        }
    }

    pub(crate) fn bare(failure: Failure) -> Self {
        Self {
            failure,
            error: None,
        }
    }

    /// In the provider's words.
    pub(crate) fn of(error: UpstreamError) -> Self {
        Self {
            failure: failure_within_success(&error),
            error: Some(error.into_json()),
        }
    }

    /// In words that are in no form.
    pub(crate) fn of_text(text: &str) -> Self {
        let beginning = beginning_of(text, MAX_WORDS_BYTES);
        UpstreamError::of_text(beginning).map_or(Self::bare(Failure::Status(502)), Self::of)
    }

    /// In a value that says that there was an error, in whatever form.
    fn in_value(value: &RawValue) -> Self {
        let written = value.get();
        if written.len() > MAX_ERROR_BYTES {
            let end = written.floor_char_boundary(MAX_ERROR_BYTES);
            return Self {
                failure: Failure::Status(502),
                error: written.get(..end).map(ToOwned::to_owned),
            };
        }
        let document = format!("{{\"error\":{written}}}");
        json::value(document.as_bytes())
            .and_then(UpstreamError::of)
            .map_or_else(|| Self::of_text(written), Self::of)
    }
}

/// The beginning of a text, up to a space: of a key that a cut goes through a part would be left, which nobody could
/// blot out.
pub(crate) fn beginning_of(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = text.floor_char_boundary(max);
    let beginning = text.get(..end).unwrap_or_default();
    beginning
        .rsplit_once(char::is_whitespace)
        .map_or("", |(whole, _)| whole)
}

impl<'a> Said<'a> {
    /// `None` where it is no object.
    pub(crate) fn of(document: &'a RawValue) -> Option<Self> {
        Members::of(document).map(Self::of_members)
    }

    pub(crate) fn of_members(members: Members<'a>) -> Self {
        let choices = members.get("choices").map(elements).unwrap_or_default();
        let choices = choices.into_iter().filter_map(Choice::of).collect();
        Self { members, choices }
    }

    /// What it says of tokens.
    pub(crate) fn usage(&self) -> Option<&'a RawValue> {
        self.members
            .get("usage")
            .filter(|usage| usage.get().starts_with('{'))
    }

    /// Whether there is a list of choices, be it empty: clients fail on anything else in its place.
    pub(crate) fn has_list_of_choices(&self) -> bool {
        let choices = self.members.get("choices");
        choices.is_some_and(|choices| choices.get().starts_with('['))
    }

    pub(crate) fn has_content(&self) -> bool {
        self.choices.iter().any(Choice::has_content)
    }

    /// Whether it says of itself that it is an error, and no notice of how things stand.
    pub(crate) fn is_plain_error(&self) -> bool {
        let is_error = |name: &&str| {
            let value = self.members.get(name);
            value.is_some_and(|value| value.get() == "\"error\"")
        };
        ["object", "type", "status"].iter().any(is_error)
            || ["error", "code", "error_code", "base_resp"]
                .iter()
                .any(|name| self.members.get(name).is_some())
    }

    /// Whether an error stands beside the choices.
    pub(crate) fn has_error_beside(&self) -> bool {
        self.members.get("error").is_some_and(tells)
    }

    /// As it came, but for the errors beside its choices and in them.
    pub(crate) fn without_errors(&self) -> String {
        let choices: Vec<String> = self.choices.iter().map(Choice::without_error).collect();
        let choices = format!("[{}]", choices.join(","));
        self.members.written(|name, value| match name {
            "error" => None,
            "choices" => Some(choices.as_str()),
            _ => Some(value.get()),
        })
    }

    /// With `"usage": null`, as OpenAI writes all chunks but the last.
    pub(crate) fn without_usage(&self) -> String {
        let written = |name: &str, value: &'a RawValue| {
            Some(if name == "usage" { "null" } else { value.get() })
        };
        self.members.written(written)
    }

    /// The error that it tells of: beside the choices, in one of them, as the end of one, or in the place of them.
    pub(crate) fn error(&self, document: &RawValue) -> Option<ProviderError> {
        let is_notice = self.has_list_of_choices() && !self.is_plain_error();
        if self.has_error_beside() || (self.choices.is_empty() && !is_notice) {
            return error_of(document);
        }
        // MiniMax tells of a filter, and of what is used up, beside an empty choice.
        let has_status = self.members.get("base_resp").is_some();
        if has_status
            && !self.has_content()
            && let Some(error) = error_of(document)
        {
            return Some(error);
        }
        self.error_within()
    }

    /// The error in one of the choices, or as the end of one.
    pub(crate) fn error_within(&self) -> Option<ProviderError> {
        if let Some(error) = self.choices.iter().find_map(Choice::error) {
            return Some(ProviderError::in_value(error));
        }
        self.choices
            .iter()
            .find_map(|choice| match choice.finish() {
                Finish::Failed(reason) => Some(ProviderError::of_text(&format!(
                    "The model ended its answer with `{reason}`."
                ))),
                _ => None,
            })
    }
}

/// The error that a document without choices tells of, if any.
pub(crate) fn error_of(document: &RawValue) -> Option<ProviderError> {
    if document.get().len() > MAX_ERROR_BYTES {
        let members = Members::of(document)?;
        return members
            .get("error")
            .filter(|error| is_filled(error))
            .map(ProviderError::in_value);
    }
    let document = json::value(document.get().as_bytes())?;
    UpstreamError::of(document).map(ProviderError::of)
}

/// The error that an event of this type tells of, whatever stands in it.
pub(crate) fn error_event(data: &[u8]) -> ProviderError {
    let beginning = data.get(..MAX_ERROR_BYTES).unwrap_or(data);
    match UpstreamError::read(beginning) {
        Some(error) => ProviderError::of(error),
        None => ProviderError::of_text(&String::from_utf8_lossy(beginning)),
    }
}

/// What data says that are no JSON: nothing, or what went wrong in bare words. `None` where they should have been JSON.
pub(crate) fn bare_words(data: &[u8]) -> Option<Option<ProviderError>> {
    // All but a few are JSON, and there are many.
    if data.starts_with(b"{") {
        return None;
    }
    let text = String::from_utf8_lossy(data);
    let text = text.trim();
    let lower = text.to_lowercase();
    if PINGS.contains(&lower.as_str()) || lower.starts_with("ping ") || lower == "[ping]" {
        return Some(None);
    }
    let is_scalar = serde_json::from_str::<serde_json::Value>(text).is_ok();
    if text.starts_with(['{', '[']) || is_scalar {
        return None;
    }
    Some(Some(ProviderError::of_text(text)))
}

//! What a provider's 200 really is: an answer, or an error that only came with that status.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;
use spillway_json::{Members, is_filled, sound, without_mark};
use spillway_upstream::{Failure, Pool};

use crate::Usage;
use crate::choice::{Choice, Finish, tells};
use crate::plain::plain_answer;
use crate::redaction::redact;
use crate::said::{ProviderError, Said, error_of};

/// What a provider's 200 really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspected {
    /// An answer, with its token counts where it has them.
    Answer(Option<Usage>),
    /// No answer, though the status said so; with the provider's error object where it sent one.
    Failed(Failure, Option<String>),
}

/// An answer that says nothing is no longer than this, whatever a filter's own report adds to it.
const MAX_EMPTY_ANSWER_BYTES: usize = 64 * 1024;

/// An answer whose choices take more is not looked into: so much is one.
const MAX_INSPECTED_BYTES: usize = 4 * 1024 * 1024;

/// Looks into the body of a 200. An answer has choices, or the `data` of embeddings.
pub fn inspect(body: &[u8]) -> Inspected {
    readable(Bytes::copy_from_slice(body)).1
}

/// The same, with the body as clients read it.
pub(crate) fn readable(body: Bytes) -> (Bytes, Inspected) {
    // Python and JavaScript pass over a byte-order mark.
    let mark = body.len().saturating_sub(without_mark(&body).len());
    let body = body.slice(mark..);
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
    match plain_answer(body) {
        Some(usage) => Some(Inspected::Answer(usage)),
        None => member_by_member(body),
    }
}

/// As [`strictly`], of whatever is plain, too.
pub(crate) fn member_by_member(body: &[u8]) -> Option<Inspected> {
    let failed = |error: ProviderError| Inspected::Failed(error.failure, error.error);
    match serde_json::from_slice::<&RawValue>(body.trim_ascii()) {
        Ok(document) => Some(look_into(document).unwrap_or_else(failed)),
        Err(error) if error.is_eof() => Some(Inspected::Failed(Failure::Truncated, None)),
        Err(_) => None,
    }
}

fn look_into(document: &RawValue) -> Result<Inspected, ProviderError> {
    let failed = || error_of(document).unwrap_or(ProviderError::bare(Failure::Truncated));
    let members = Members::of(document).ok_or_else(failed)?;
    let list = |name: &str| {
        let list = members.get(name);
        list.filter(|list| list.get().starts_with('['))
    };
    let usage = members.get("usage");
    let usage = usage.and_then(|usage| serde_json::from_str(usage.get()).ok());
    let answer = Inspected::Answer(usage);
    if let Some(choices) = list("choices").filter(|choices| is_filled(choices)) {
        // So large an answer is one.
        if choices.get().len() > MAX_INSPECTED_BYTES {
            return Ok(answer);
        }
        let said = Said::of_members(members);
        // Clients do not look for an error beside an answer that says something, but for one in a choice.
        let error = if said.has_content() {
            said.error_within()
        } else {
            said.error(document)
        };
        return error.map_or(Ok(answer), Err);
    }
    // No texts were sent, so no vectors came; but beside an error an empty list says nothing.
    let has_error = members.get("error").is_some_and(tells);
    match list("data") {
        Some(data) if is_filled(data) || !has_error => Ok(answer),
        _ => Err(failed()),
    }
}

/// The answer without what clients must not see of an error beside it.
pub(crate) fn without_secrets(body: Bytes, pool: &Pool) -> Bytes {
    if memchr::memmem::find(&body, b"\"error\"").is_none() {
        return body;
    }
    let Some(members) = read(&body).and_then(Members::of) else {
        return body;
    };
    if !members.get("error").is_some_and(tells) {
        return body;
    }
    let written = members.written(|name, value| {
        let value = value.get();
        Some(match name {
            "error" => Cow::Owned(redact(value, pool)),
            _ => Cow::Borrowed(value),
        })
    });
    written.into()
}

/// Whether a content filter ended every choice of an answer before it said anything.
pub(crate) fn is_emptied_by_filter(body: &[u8]) -> bool {
    if body.len() > MAX_EMPTY_ANSWER_BYTES {
        return false;
    }
    let said = read(body).and_then(Said::of);
    said.is_some_and(|said| {
        let is_emptied =
            |choice: &Choice<'_>| *choice.finish() == Finish::Filtered && !choice.answers();
        !said.choices.is_empty() && said.choices.iter().all(is_emptied)
    })
}

fn read(body: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(body.trim_ascii()).ok()
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

//! The chunk that nearly all of a stream consists of, read in one pass: one choice that says something and goes on.
//!
//! **Rule.** What has a member that might mean more, or one in another form, is none, though it may be a chunk: then it
//! is read member by member ([`crate::said`]). **Guarantee.** Of a plain chunk both ways say the same, but for one of more
//! than 4,096 members, of which the other way looks at the first alone. **Cost.** Some six tenths of what the
//! other way takes; a tenth of that where only the text differs from the chunk before ([`super::ChunkTemplate`]).

use std::ops::Range;

use serde::Deserialize;

use super::{Object, Says};
use spillway_tokens::Hundredths;

/// What the gateway needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainChunk {
    /// Which of the choices.
    pub index: i64,
    /// Whether it has something of the answer itself, not thoughts alone.
    pub answers: bool,
    /// What it says, in hundredths of a token.
    pub weight: Hundredths,
}

impl PlainChunk {
    /// With the place of its text, where it has one alone, and that is written without escapes.
    pub(super) fn read(data: &[u8]) -> Option<(Self, Option<Range<usize>>)> {
        let document = std::str::from_utf8(data).ok()?;
        let Object(chunk): Object<Chunk<'_>> = serde_json::from_str(document).ok()?;
        let (Object(Choice { index, delta, .. }),) = chunk.choices;
        let Object(delta) = delta;
        let (content, thoughts) = (delta.content, delta.reasoning_content);
        let text = match (&content, &thoughts) {
            (Says::Text(text), Says::Nothing) | (Says::Nothing, Says::Text(text)) => Some(*text),
            (Says::Nothing, Says::Nothing) => return None,
            _ => None,
        };
        let chunk = Self {
            index: i64::from(index),
            answers: !matches!(content, Says::Nothing),
            weight: content.weight().saturating_add(thoughts.weight()),
        };
        Some((chunk, text.and_then(|text| place_of(text, document))))
    }
}

/// Where a part of a document stands in it.
fn place_of(part: &str, document: &str) -> Option<Range<usize>> {
    let begin = part.as_ptr().addr().checked_sub(document.as_ptr().addr())?;
    let place = begin..begin.checked_add(part.len())?;
    (document.get(place.clone()) == Some(part)).then_some(place)
}

/// `()` is null or not there. Members that are not named here mean nothing to the gateway beside these.
#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Chunk<'d> {
    #[serde(borrow)]
    choices: (Object<Choice<'d>>,),
    #[serde(default)]
    usage: (),
    #[serde(default)]
    error: (),
    #[serde(default)]
    base_resp: (),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Choice<'d> {
    #[serde(default)]
    index: u16,
    #[serde(borrow)]
    delta: Object<Delta<'d>>,
    #[serde(default)]
    finish_reason: (),
    #[serde(default)]
    text: (),
    #[serde(default)]
    message: (),
    #[serde(default)]
    error: (),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Delta<'d> {
    #[serde(borrow, default)]
    content: Says<'d>,
    #[serde(borrow, default)]
    reasoning_content: Says<'d>,
    #[serde(default)]
    tool_calls: (),
    #[serde(default)]
    function_call: (),
    #[serde(default)]
    refusal: (),
    #[serde(default)]
    audio: (),
    #[serde(default)]
    images: (),
    #[serde(default)]
    error: (),
}

#[cfg(test)]
mod tests;

//! What a model said, out of the JSON that it stands in.

use crate::estimate::end_of_string;
use crate::{Hundredths, weigh};

/// Members whose texts no model wrote: names of things, and what is no text.
const NOT_SAID: [&[u8]; 9] = [
    b"id",
    b"type",
    b"role",
    b"object",
    b"data",
    b"url",
    b"b64_json",
    b"signature",
    b"format",
];

/// What the texts in a JSON value weigh: of a message, a piece of one, a call of a tool. Names of members weigh nothing, as
/// the model's own words for them are shorter.
pub fn weigh_said(json: &[u8]) -> Hundredths {
    let (mut sum, mut rest): (Hundredths, _) = (0, json);
    let mut is_said = true;
    while let Some(begin) = memchr::memchr(b'"', rest) {
        let text = rest.get(begin.saturating_add(1)..).unwrap_or_default();
        let (text, after) = text
            .split_at_checked(end_of_string(text))
            .unwrap_or((text, &[]));
        rest = after.get(1..).unwrap_or_default();
        if rest.trim_ascii_start().first() == Some(&b':') {
            is_said = !NOT_SAID.contains(&text);
        } else if is_said {
            sum = sum.saturating_add(weigh(text));
        } else {
            is_said = true;
        }
    }
    sum
}

//! A 200 with something that is no answer at all.

use spillway_platform::Headers;
use spillway_upstream::{Failure, Pool};

use crate::attempt_failure::{AttemptFailure, in_words};
use crate::redaction::redact;
use crate::said::beginning_of;

/// So much of it is looked at.
const MAX_READ_BYTES: usize = 2048;

/// So much of it is told.
const MAX_EXCERPT_CHARS: usize = 120;

/// Says what came instead, and the likely cause.
pub(crate) fn no_answer(headers: &Headers, body: &[u8], pool: &Pool) -> AttemptFailure {
    let kind = headers.text("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind: String = kind.chars().take(MAX_EXCERPT_CHARS).collect();
    let kind = if kind.is_empty() {
        "no content type"
    } else {
        &kind
    };
    let beginning = body
        .get(..body.len().min(MAX_READ_BYTES.saturating_add(4)))
        .unwrap_or_default();
    let beginning = String::from_utf8_lossy(beginning.trim_ascii_start());
    let words = if beginning.starts_with('<') {
        format!(
            "The model provider answered 200 with a web page ({kind}) instead of an answer. Most likely its `base_url` in gateway.yaml lacks the `/v1` at its end, or leads to another server."
        )
    } else {
        // Redacted before it is cut, and before it goes into the log.
        let told = redact(beginning_of(&beginning, MAX_READ_BYTES), pool);
        let excerpt: String = told.chars().take(MAX_EXCERPT_CHARS).collect();
        format!(
            "The model provider answered 200 with something that is no JSON ({kind}): {}",
            excerpt.trim_end()
        )
    };
    in_words(Failure::Reset, &words)
}

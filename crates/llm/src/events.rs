//! From the events of a provider's stream to the documents in them.

use std::borrow::Cow;

use serde_json::value::RawValue;
use spillway_sse::Event;

use crate::said::{ProviderError, bare_words, error_event};
use spillway_json::sound;
use spillway_upstream::Failure;

/// One document of a stream, as the provider wrote it or, where that is no JSON by RFC 8259, as clients read it: each odd
/// form ends the stream for some client library or other.
#[derive(Debug)]
pub(crate) struct Data<'a>(Cow<'a, RawValue>);

/// What one event says, piece by piece.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    /// `[DONE]`.
    Done,
    /// A chunk, or an error in the form of one.
    Data(Data<'a>),
    /// Something went wrong.
    Failed(ProviderError),
}

impl Data<'_> {
    pub(crate) fn document(&self) -> &RawValue {
        &self.0
    }

    pub(crate) fn written(&self) -> &[u8] {
        self.0.get().as_bytes()
    }
}

/// What an event says. Some engines forget the blank line between events: each line is a document then.
pub(crate) fn lines(event: &Event) -> Vec<Line<'_>> {
    let data = event.data.trim_ascii();
    if event.name.as_deref() == Some(b"error") {
        return vec![Line::Failed(error_event(data))];
    }
    match line(data) {
        Some(Line::Failed(_)) if memchr::memchr2(b'\n', b'\r', data).is_some() => data
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .filter_map(line)
            .collect(),
        one => one.into_iter().collect(),
    }
}

/// `None` where it says nothing.
fn line(data: &[u8]) -> Option<Line<'_>> {
    let data = data.trim_ascii();
    // OpenAI's own libraries look at the beginning alone; some engines add their end token.
    if data.starts_with(b"[DONE]") {
        return Some(Line::Done);
    }
    if let Some(words) = bare_words(data) {
        return words.map(Line::Failed);
    }
    if let Ok(document) = serde_json::from_slice::<&RawValue>(data) {
        return Some(Line::Data(Data(Cow::Borrowed(document))));
    }
    let repaired = sound(data).and_then(|repaired| serde_json::from_slice(&repaired).ok());
    Some(match repaired {
        Some(document) => Line::Data(Data(Cow::Owned(document))),
        None => Line::Failed(ProviderError::bare(Failure::Reset)),
    })
}

//! From the events of a provider's stream to what they say.

use std::borrow::Cow;

use spillway_json::sound_texts;
use spillway_sse::Event;

use super::StreamEvent;
use crate::dialect::anthropic::StreamState;
use crate::events::{Line, lines};
use crate::plain_chunk::PlainChunk;

/// Reads the events of one provider's stream.
#[derive(Debug)]
pub(crate) enum StreamDecoder {
    OpenAi,
    Anthropic(StreamState),
}

impl StreamDecoder {
    /// Whether `data` alone, without an `event` field, are a plain chunk.
    pub fn plain<'e>(&self, event: &'e Event) -> Option<StreamEvent<'e>> {
        match self {
            Self::OpenAi if event.name.is_none() => {
                let chunk = PlainChunk::read(&event.data)?;
                Some(StreamEvent::Plain(chunk, &event.data))
            }
            Self::OpenAi | Self::Anthropic(_) => None,
        }
    }

    /// Makes an event's texts such as can be read, where this dialect's are read.
    pub fn repair(&self, event: &mut Event) {
        if let Self::Anthropic(_) = self
            && let Some(Cow::Owned(repaired)) = sound_texts(&event.data)
        {
            event.data = repaired;
        }
    }

    /// What an event says, in order.
    pub fn decode<'e>(&mut self, event: &'e Event) -> Vec<StreamEvent<'e>> {
        match self {
            Self::OpenAi => lines(event)
                .into_iter()
                .map(|line| match line {
                    Line::Done => StreamEvent::Done,
                    Line::Data(data) => StreamEvent::Chunk(data),
                    Line::Failed(error) => StreamEvent::Failed(error),
                })
                .collect(),
            Self::Anthropic(state) => state.decode(event),
        }
    }
}

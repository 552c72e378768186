//! From the events of a provider's stream to what they say.

use std::borrow::Cow;

use spillway_json::sound_texts;
use spillway_sse::Event;

use super::StreamEvent;
use crate::dialect::anthropic::StreamState;
use crate::events::{Line, lines};
use crate::plain::{ChunkTemplate, PlainChunk};

/// Reads the events of one provider's stream.
#[derive(Debug)]
pub(crate) enum StreamDecoder {
    OpenAi(ChunkTemplate),
    Anthropic(StreamState),
}

impl StreamDecoder {
    /// The data of an event without a name as a plain chunk, if they are one.
    pub fn plain(&mut self, data: &[u8]) -> Option<PlainChunk> {
        match self {
            Self::OpenAi(template) => template.read(data),
            Self::Anthropic(_) => None,
        }
    }

    /// Makes an event's texts such as can be read, where this dialect's are read.
    pub fn repair(&self, event: &mut Event) {
        match self {
            Self::OpenAi(_) => {}
            Self::Anthropic(_) => {
                if let Some(Cow::Owned(repaired)) = sound_texts(&event.data) {
                    event.data = repaired;
                }
            }
        }
    }

    /// What an event says, in order.
    pub fn decode<'e>(&mut self, event: &'e Event) -> Vec<StreamEvent<'e>> {
        match self {
            Self::OpenAi(_) => openai_events(event),
            Self::Anthropic(state) => state.decode(event),
        }
    }
}

/// What an event in OpenAI's form says, in order.
pub(crate) fn openai_events(event: &Event) -> Vec<StreamEvent<'_>> {
    let said = lines(event).into_iter().map(|line| match line {
        Line::Done => StreamEvent::Done,
        Line::Data(data) => StreamEvent::Chunk(data),
        Line::Failed(error) => StreamEvent::Failed(error),
    });
    said.collect()
}

//! What a stream says, piece by piece, whoever wrote it.

use std::borrow::Cow;

use crate::dialect::anthropic::OpenAiUsage;
use crate::events::Data;
use crate::said::ProviderError;

/// One thing that a stream says. What came in the client's own dialect keeps its bytes; the rest is written anew.
#[derive(Debug)]
pub(crate) enum StreamEvent<'a> {
    /// A chunk in the client's dialect.
    Chunk(Data<'a>),
    /// The answer begins.
    Start {
        id: Cow<'a, str>,
        model: Cow<'a, str>,
    },
    /// A piece of the answer's text.
    Text(Cow<'a, str>),
    /// A piece of what the model thinks.
    Thinking(Cow<'a, str>),
    /// A whole thought, signed or not to be read, as the JSON object that goes back to the provider.
    ThinkingBlock(Cow<'a, str>),
    /// A call of a tool begins.
    ToolCall {
        call: usize,
        id: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    /// A piece of a call's arguments.
    Arguments { call: usize, json: Cow<'a, str> },
    /// The answer ends, for this `finish_reason`.
    End(&'static str),
    /// Tokens so far, or in all.
    Usage(OpenAiUsage),
    /// Nothing more is to come.
    Done,
    /// Something went wrong.
    Failed(ProviderError),
}

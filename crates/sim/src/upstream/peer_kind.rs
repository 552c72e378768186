//! Which upstream a request has come to, and what it is asked for.

use memchr::memmem;
use spillway_platform_sim::ReceivedRequest;

use super::{Answer, Error, anthropic, dify, knowledge, openai};
use crate::content::marks;

/// An upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerKind {
    /// A provider that speaks OpenAI's API.
    OpenAi,
    /// One that speaks Anthropic's.
    Anthropic,
    /// Dify.
    Dify,
    /// An engine.
    Knowledge,
}

/// Whose request it is; `None` for what the gateway asks by itself.
pub fn asked_mark(asked: &ReceivedRequest) -> Option<u32> {
    let by_body = marks(&asked.body).first().copied();
    by_body.or_else(|| marks(asked.path_and_query.as_bytes()).first().copied())
}

/// The key that it was asked with.
pub fn asked_key(asked: &ReceivedRequest) -> &str {
    let key = asked.headers.text("authorization");
    let key = key.or_else(|| asked.headers.text("x-api-key"));
    key.unwrap_or_default()
}

impl PeerKind {
    /// How it tells of an error.
    pub fn error(self) -> Error {
        match self {
            Self::OpenAi => openai::error,
            Self::Anthropic => anthropic::error,
            Self::Dify => dify::error,
            Self::Knowledge => knowledge::error,
        }
    }

    /// The right answer, or it in the other form.
    pub fn answer(self, asked: &ReceivedRequest, number: u32, is_other_form: bool) -> Answer {
        let path = asked.path_and_query.as_str();
        let has = |text: &str| memmem::find(&asked.body, text.as_bytes()).is_some();
        let is_streamed = has("\"stream\":true") || has("\"response_mode\":\"streaming\"");
        let is_streamed = is_streamed != is_other_form;
        match self {
            Self::OpenAi if path.ends_with("/chat/completions") && is_streamed => {
                openai::chat_stream(number, has("\"include_usage\":true"), asked_key(asked))
            }
            Self::OpenAi if path.ends_with("/chat/completions") => openai::chat(number),
            Self::OpenAi if path.ends_with("/embeddings") => openai::embedding(number),
            Self::OpenAi if path.ends_with("/completions") => openai::completion(number),
            Self::OpenAi if path.ends_with("/responses") => openai::response(number),
            Self::OpenAi if path.ends_with("/files") => openai::file(number),
            Self::OpenAi => openai::models(),
            Self::Anthropic if path.ends_with("/messages") && is_streamed => {
                anthropic::message_stream(number, asked_key(asked))
            }
            Self::Anthropic if path.ends_with("/messages") => anthropic::message(number),
            Self::Anthropic => openai::models(),
            Self::Dify if path.starts_with("/v1/chat-messages") && is_streamed => {
                dify::run_stream(number)
            }
            Self::Dify if path.starts_with("/v1/chat-messages") => dify::run(number),
            Self::Dify if path.starts_with("/v1/files/upload") => dify::upload(number),
            Self::Dify => dify::page(number),
            Self::Knowledge if path.contains("/api/v1/retrieval") => knowledge::ragflow(number),
            Self::Knowledge => knowledge::engine(number),
        }
    }
}

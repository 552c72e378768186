//! What goes to Redis and comes back, apart from the runtime's own types.

use spin_sdk::redis::{self, RedisParameter, RedisResult};

/// The most of Redis' own words that is kept.
const MAX_ERROR_CHARS: usize = 300;

/// Why a command gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer, and none to anything else for a while: Redis is gone, or stands still.
    #[error("no answer in time")]
    Timeout,
    /// No answer yet from a Redis that does answer: it is slow, or far away. What it was told it will do.
    #[error("no answer yet: Redis is slow, or far away")]
    Late,
    /// The address cannot be used.
    #[error("the address is not one of a Redis")]
    InvalidAddress,
    /// The runtime refused, or Redis answered with an error; its words.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// Whether Redis does not know the script that `EVALSHA` named.
    pub fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Other(text) if text.contains("NOSCRIPT") || text.contains("NoScriptError"))
    }

    /// Whether the connection broke, rather than that Redis answered so or there was no time for an answer.
    pub(super) fn is_broken_connection(&self) -> bool {
        match self {
            Self::Timeout | Self::Late | Self::InvalidAddress => false,
            Self::Other(text) => ["broken", "reset", "closed", "eof", "terminated"]
                .iter()
                .any(|sign| text.to_ascii_lowercase().contains(sign)),
        }
    }

    /// Whether the connection that this came on is still good. What Redis itself answers says nothing against it,
    /// unless another connection may reach another Redis, or log in anew.
    pub(super) fn keeps_connection(&self) -> bool {
        let Self::Other(text) = self else {
            return false;
        };
        // As redis-rs writes codes that it knows, and others (`OOM: …`).
        let is_answer = text.contains("signalled by the server")
            || text.split_once(':').is_some_and(|(code, _)| {
                !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase())
            });
        let is_cured_by_another = [
            "READONLY",
            "ReadOnly",
            "NOAUTH",
            "unauthenticated",
            "MASTERDOWN",
            "MasterDown",
        ]
        .iter()
        .any(|sign| text.contains(sign));
        is_answer && !is_cured_by_another
    }
}

impl From<redis::Error> for Error {
    fn from(error: redis::Error) -> Self {
        match error {
            redis::Error::InvalidAddress => Self::InvalidAddress,
            // A script's error may quote its whole arguments.
            redis::Error::Other(text) => Self::Other(text.chars().take(MAX_ERROR_CHARS).collect()),
            other => Self::Other(other.to_string()),
        }
    }
}

/// An argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// A number.
    Number(i64),
    /// Text or bytes.
    Bytes(Vec<u8>),
}

impl From<Parameter> for RedisParameter {
    fn from(parameter: Parameter) -> Self {
        match parameter {
            Parameter::Number(number) => Self::Int64(number),
            Parameter::Bytes(bytes) => Self::Binary(bytes),
        }
    }
}

/// A part of a command's result; nested arrays come flattened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// A status such as `OK`.
    Status(String),
    /// A number.
    Number(i64),
    /// Text or bytes.
    Bytes(Vec<u8>),
}

impl From<RedisResult> for Reply {
    fn from(result: RedisResult) -> Self {
        match result {
            RedisResult::Nil => Self::Nil,
            RedisResult::Status(status) => Self::Status(status),
            RedisResult::Int64(number) => Self::Number(number),
            RedisResult::Binary(bytes) => Self::Bytes(bytes),
        }
    }
}

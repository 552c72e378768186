//! The port of a Redis connection: commands and what comes back.

use std::future::Future;
use std::time::Duration;

use spillway_platform::{StateError, Waiting};

use crate::explain_redis_error;

/// The most of Redis' own words that is kept, in characters: a script's error may quote its whole arguments.
const MAX_ERROR_CHARS: usize = 300;

/// Why a command gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
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

impl RedisError {
    /// Whether Redis does not know the script that `EVALSHA` named.
    pub fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Other(text) if text.contains("NOSCRIPT") || text.contains("NoScriptError"))
    }

    /// Whether the connection broke, rather than that Redis answered so or there was no time for an answer.
    pub fn is_broken_connection(&self) -> bool {
        match self {
            Self::Timeout | Self::Late | Self::InvalidAddress => false,
            // An answer may quote anything.
            Self::Other(text) if is_answer(text) => false,
            Self::Other(text) => ["broken", "reset", "closed", "eof", "terminated"]
                .iter()
                .any(|sign| text.to_ascii_lowercase().contains(sign)),
        }
    }

    /// Whether the connection that this came on is still good. What Redis itself answers says nothing against it,
    /// unless another connection may reach another Redis, or log in anew.
    pub fn keeps_connection(&self) -> bool {
        let Self::Other(text) = self else {
            return false;
        };
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
        is_answer(text) && !is_cured_by_another
    }
}

/// As redis-rs writes codes that it knows, and others (`OOM: …`).
fn is_answer(text: &str) -> bool {
    text.contains("signalled by the server")
        || text.split_once(':').is_some_and(|(code, _)| {
            !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase())
        })
}

impl RedisError {
    /// In Redis' own words, or the runtime's.
    pub fn in_words(text: &str) -> Self {
        Self::Other(text.chars().take(MAX_ERROR_CHARS).collect())
    }
}

impl From<RedisError> for StateError {
    fn from(error: RedisError) -> Self {
        Self {
            message: explain_redis_error(&error.to_string()),
            is_late: error == RedisError::Late,
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

/// Commands to one Redis, over one connection that is opened when it is first needed.
pub trait RedisConnection: 'static {
    /// Runs a command. Where the connection turns out to be broken it is sent once more: Redis may have done it already
    /// then.
    ///
    /// # Errors
    /// [`RedisError`]. After [`RedisError::Late`] and [`RedisError::Timeout`] Redis may have done the command, or do it
    /// yet.
    fn execute(
        &self,
        command: &str,
        parameters: &[String],
        waiting: Waiting,
    ) -> impl Future<Output = Result<Vec<Reply>, RedisError>>;

    /// How long Redis takes to answer; `None` without a connection on which it does.
    fn distance(&self) -> Option<Duration>;

    /// Another connection to the same Redis.
    fn another(&self) -> Self;
}

impl Reply {
    /// What is text, as it stands; else nothing.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Status(text) => text.into_bytes(),
            Self::Nil | Self::Number(_) => Vec::new(),
        }
    }

    /// What is text.
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Bytes(bytes) => String::from_utf8(bytes).ok(),
            Self::Status(text) => Some(text),
            Self::Nil | Self::Number(_) => None,
        }
    }
}

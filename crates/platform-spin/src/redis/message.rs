//! What goes to Redis and comes back, in the runtime's types.

use spillway_state::{RedisError, Reply};
use spin_sdk::redis::{self, RedisParameter, RedisResult};

pub(super) fn parameters(texts: &[String]) -> Vec<RedisParameter> {
    let bytes = texts.iter().map(|text| text.as_bytes().to_vec());
    bytes.map(RedisParameter::Binary).collect()
}

pub(super) fn error_of(error: redis::Error) -> RedisError {
    match error {
        redis::Error::InvalidAddress => RedisError::InvalidAddress,
        redis::Error::Other(text) => RedisError::in_words(&text),
        other => RedisError::Other(other.to_string()),
    }
}

/// Nested arrays come flattened.
pub(super) fn reply_of(result: RedisResult) -> Reply {
    match result {
        RedisResult::Nil => Reply::Nil,
        RedisResult::Status(status) => Reply::Status(status),
        RedisResult::Int64(number) => Reply::Number(number),
        RedisResult::Binary(bytes) => Reply::Bytes(bytes),
    }
}

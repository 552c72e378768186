//! What a Redis server answers, in the forms in which components get it.

use redis::{ErrorKind, FromRedisValue, ParsingError, RedisError, Value};

use super::MAX_RESULT_BYTES;
use crate::bindings::spin::redis::redis::{Error, RedisResult};

/// Errors of the server read as they do on Spin, as components tell them apart by their text.
pub(super) fn spin_error(error: RedisError) -> Error {
    if error.kind() == ErrorKind::UnexpectedReturnType {
        return Error::TypeError;
    }
    let Some(code) = error.code() else {
        return Error::Other(error.to_string());
    };
    let detail = error.detail().unwrap_or_default();
    Error::Other(match spins_name(code) {
        None => format!("{code}: {detail}"),
        Some(name) => format!("An error was signalled by the server - {name}: {detail}"),
    })
}

/// What Spin calls the codes that its Redis library knows; it shows others as they are.
fn spins_name(code: &str) -> Option<&'static str> {
    Some(match code {
        "ERR" => "ResponseError",
        "EXECABORT" => "ExecAbortError",
        "LOADING" => "BusyLoadingError",
        "NOSCRIPT" => "NoScriptError",
        "MOVED" => "Moved",
        "ASK" => "Ask",
        "TRYAGAIN" => "TryAgain",
        "CLUSTERDOWN" => "ClusterDown",
        "CROSSSLOT" => "CrossSlot",
        "MASTERDOWN" => "MasterDown",
        "READONLY" => "ReadOnly",
        "NOTBUSY" => "NotBusy",
        _ => return None,
    })
}

pub(super) fn too_large() -> Error {
    Error::Other(format!(
        "the result is larger than {MAX_RESULT_BYTES} bytes"
    ))
}

/// A result with nested arrays laid out flat, as `execute` gives it.
pub(super) struct FlatResults(Vec<RedisResult>);

impl FlatResults {
    pub(super) fn into_list(self) -> Vec<RedisResult> {
        self.0
    }

    /// In bytes.
    pub(super) fn size(&self) -> usize {
        self.0.iter().fold(0, |sum, result| {
            let own = match result {
                RedisResult::Nil | RedisResult::Int64(_) => 0,
                RedisResult::Status(text) => text.len(),
                RedisResult::Binary(bytes) => bytes.len(),
            };
            sum.saturating_add(own)
                .saturating_add(size_of::<RedisResult>())
        })
    }

    fn append(&mut self, value: Value) -> Result<(), ParsingError> {
        let result = match value {
            Value::Nil => RedisResult::Nil,
            Value::Int(number) => RedisResult::Int64(number),
            Value::Boolean(is_true) => RedisResult::Int64(i64::from(is_true)),
            Value::BulkString(bytes) => RedisResult::Binary(bytes),
            Value::SimpleString(text) => RedisResult::Status(text),
            Value::Okay => RedisResult::Status("OK".to_owned()),
            Value::Double(number) => RedisResult::Binary(number.to_string().into_bytes()),
            Value::Array(values) | Value::Set(values) => {
                return values.into_iter().try_for_each(|value| self.append(value));
            }
            other => {
                return Err(format!("a result of this kind cannot be passed on: {other:?}").into());
            }
        };
        self.0.push(result);
        Ok(())
    }
}

impl FromRedisValue for FlatResults {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut results = Self(Vec::new());
        results.append(value)?;
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_arrays_are_laid_out_flat() {
        let nested = Value::Array(vec![
            Value::Int(1),
            Value::Array(vec![Value::Nil, Value::BulkString(b"x".to_vec())]),
            Value::Okay,
        ]);
        let results = FlatResults::from_redis_value(nested).unwrap();
        assert!(matches!(
            results.0.as_slice(),
            [
                RedisResult::Int64(1),
                RedisResult::Nil,
                RedisResult::Binary(_),
                RedisResult::Status(_)
            ]
        ));
        assert!(FlatResults::from_redis_value(Value::Map(vec![])).is_err());
    }
}

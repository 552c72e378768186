//! One verdict of the store that requests are counted in.

use std::time::SystemTime;

use spillway_platform_spin::{
    self as spin, KeyValue, KeyValueError, Parameter, Redis, RedisError, Reply,
};
use spillway_state::{
    Counted, Hold, Increment, LIMIT_FORGET_V1, LIMIT_TAKE_V3, LIMIT_TAKE_V3_SHA1, LeaseName,
    NewValues, Take, Taken, explain_redis_error, forget_in_numbers, limit_forget_arguments,
    limit_take_arguments, read_limit_take, take_from_numbers,
};

/// Why the store gave no verdict.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For the operator.
    pub message: String,
    /// It does answer, but later than a request waits.
    pub is_late: bool,
}

impl Failure {
    pub const fn gone(message: String) -> Self {
        Self {
            message,
            is_late: false,
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self {
            message: explain_redis_error(&error.to_string()),
            is_late: error == RedisError::Late,
        }
    }
}

/// One round trip; two when this Redis meets the script for the first time.
pub(crate) async fn take_from_redis(
    redis: &Redis,
    takes: &[Take],
    holds: &[Hold],
    lease: &LeaseName,
    new_values: Option<&NewValues>,
) -> Result<Taken, Failure> {
    let arguments = limit_take_arguments(takes, holds, lease, new_values, None);
    let parameters = |first: &str| -> Vec<Parameter> {
        std::iter::once(first)
            .chain(arguments.iter().map(String::as_str))
            .map(|text| Parameter::Bytes(text.as_bytes().to_vec()))
            .collect()
    };
    let replies = match redis
        .execute("EVALSHA", parameters(LIMIT_TAKE_V3_SHA1))
        .await
    {
        Err(error) if error.is_unknown_script() => {
            redis.execute("EVAL", parameters(LIMIT_TAKE_V3)).await?
        }
        other => other?,
    };
    let numbers: Vec<i64> = replies
        .iter()
        .filter_map(|reply| match reply {
            Reply::Number(number) => Some(*number),
            _ => None,
        })
        .collect();
    read_limit_take(&numbers, takes.len(), holds.len())
        .map_err(|error| Failure::gone(error.to_string()))
}

/// In the key-value store.
pub(crate) fn take_from_key_value(
    takes: &[Take],
    new_values: Option<&NewValues>,
) -> Result<Taken, Failure> {
    take_from_numbers(&Numbers, milliseconds_since_1970, takes, new_values)
        .map_err(|error| Failure::gone(error.to_string()))
}

/// Takes back what one request was counted in, off its path. Done at most once: where Redis does not tell whether it
/// has, the counts stay until their windows are over.
pub(crate) async fn forget_in_redis(redis: &Redis, counted: &[Counted]) {
    let parameters = std::iter::once(LIMIT_FORGET_V1.to_owned())
        .chain(limit_forget_arguments(counted))
        .map(|text| Parameter::Bytes(text.into_bytes()))
        .collect();
    if let Err(error) = redis.execute_once("EVAL", parameters).await {
        log_not_forgotten(&explain_redis_error(&error.to_string()));
    }
}

/// As [`forget_in_redis`], in the key-value store.
pub(crate) fn forget_in_key_value(counted: &[Counted]) {
    if let Err(error) = forget_in_numbers(&Numbers, counted) {
        log_not_forgotten(&error.to_string());
    }
}

fn log_not_forgotten(message: &str) {
    spin::log(&format!(
        "limits: a call whose key Dify does not know stays counted: {message}"
    ));
}

/// The key-value store as numbers by name.
struct Numbers;

impl Increment for Numbers {
    type Error = KeyValueError;

    fn increment(&self, key: &str, delta: i64) -> Result<i64, KeyValueError> {
        KeyValue.increment(key, delta)
    }

    fn get(&self, key: &str) -> Result<i64, KeyValueError> {
        KeyValue.number(key)
    }
}

fn milliseconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

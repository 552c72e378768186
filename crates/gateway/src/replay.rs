//! Signed requests, each let through once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spillway_config::OnError;
use spillway_identity::Signed;
use spillway_platform_spin::{self as spin, KeyValue, Parameter, Redis, Reply};
use spillway_state::{explain_redis_error, nonce_claim_arguments, nonce_number_key};

/// What is known of a signed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// It has not been seen before.
    First,
    /// It has been let through already.
    Repeated,
    /// The store does not tell, and requests that it does not tell of are refused.
    Unknown,
}

/// Remembers signed requests for as long as their signatures are good.
#[derive(Debug)]
pub struct ReplayGuard {
    redis: Option<Arc<Redis>>,
    on_error: OnError,
}

impl ReplayGuard {
    /// In this Redis, or in the key-value store where there is none.
    pub fn new(redis: Option<Arc<Redis>>, on_error: OnError) -> Self {
        Self { redis, on_error }
    }

    /// Whether a request comes for the first time; it is remembered.
    pub async fn check(&self, signed: &Signed) -> Replay {
        let first = match &self.redis {
            Some(redis) => {
                let rest = signed.until.saturating_sub(since_1970());
                let parameters = nonce_claim_arguments(&signed.once, milliseconds(rest))
                    .into_iter()
                    .map(|text| Parameter::Bytes(text.into_bytes()))
                    .collect();
                redis
                    .execute("SET", parameters)
                    .await
                    .map(|replies| matches!(replies.first(), Some(Reply::Status(_))))
                    .map_err(|error| explain_redis_error(&error.to_string()))
            }
            None => {
                let key = nonce_number_key(&signed.once, milliseconds(signed.until));
                KeyValue
                    .increment(&key, 1)
                    .map(|count| count == 1)
                    .map_err(|error| error.to_string())
            }
        };
        match (first, self.on_error) {
            (Ok(true), _) => Replay::First,
            (Ok(false), _) => Replay::Repeated,
            (Err(message), on_error) => {
                spin::log(&format!(
                    "consumers: whether a signed request is repeated could not be told: {message}"
                ));
                match on_error {
                    OnError::Allow => Replay::First,
                    OnError::Deny => Replay::Unknown,
                }
            }
        }
    }
}

/// The time since 1970.
pub fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

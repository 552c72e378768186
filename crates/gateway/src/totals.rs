//! The counters of all instances, in the store that they share.

use std::time::Duration;

use spillway_platform::Clock;
use spillway_platform_spin::{KeyValue, Parameter, Redis, Reply, SpinClock};
use spillway_state::{METRICS_ADD_V1, METRICS_KEY, METRICS_TTL_SECONDS};
use spillway_telemetry::Counters;

/// No request waits for this, so it may be longer than the limit for policies.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a change of the key-value entry is tried while other instances change it too.
const MOST_TRIES: u32 = 32;

/// Where totals are kept.
#[derive(Debug)]
pub enum Totals {
    /// In the Redis that replicas share.
    Redis(Redis),
    /// In Spin's key-value store, on one machine.
    KeyValue,
}

impl Totals {
    /// In the Redis at `address`, or in the key-value store where that is empty.
    pub fn new(address: &str) -> Self {
        if address.is_empty() {
            Self::KeyValue
        } else {
            Self::Redis(Redis::new(address.to_owned(), REDIS_TIMEOUT))
        }
    }

    /// Adds to the totals.
    ///
    /// # Errors
    /// The store's words. After a time-out of Redis the amounts may have been added all the same.
    pub async fn add(&self, delta: &Counters) -> Result<(), String> {
        match self {
            Self::Redis(redis) => {
                let text = |text: &str| Parameter::Bytes(text.as_bytes().to_vec());
                let number = |number: i64| text(&number.to_string());
                let mut parameters = vec![
                    text(METRICS_ADD_V1),
                    number(1),
                    text(METRICS_KEY),
                    number(METRICS_TTL_SECONDS),
                ];
                for (series, value) in delta.iter() {
                    parameters.push(text(series));
                    parameters.push(number(i64::try_from(value).unwrap_or(i64::MAX)));
                }
                redis
                    .execute("EVAL", parameters)
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            }
            Self::KeyValue => {
                for attempt in 1..=MOST_TRIES {
                    let added = KeyValue
                        .change(METRICS_KEY, |current| {
                            let mut totals =
                                current.map(|bytes| read_text(&bytes)).unwrap_or_default();
                            totals.merge(delta);
                            totals.to_text().into_bytes()
                        })
                        .map_err(|error| error.to_string())?;
                    if added {
                        return Ok(());
                    }
                    SpinClock
                        .sleep(Duration::from_millis(u64::from(attempt)))
                        .await;
                }
                Err(
                    "other instances changed the totals at the same time, again and again"
                        .to_owned(),
                )
            }
        }
    }

    /// The totals.
    ///
    /// # Errors
    /// The store's words.
    pub async fn read(&self) -> Result<Counters, String> {
        match self {
            Self::Redis(redis) => {
                let key = Parameter::Bytes(METRICS_KEY.as_bytes().to_vec());
                let replies = redis
                    .execute("HGETALL", vec![key])
                    .await
                    .map_err(|error| error.to_string())?;
                let mut totals = Counters::default();
                for pair in replies.chunks(2) {
                    if let [Reply::Bytes(series), Reply::Bytes(value)] = pair
                        && let (Ok(series), Ok(value)) =
                            (std::str::from_utf8(series), std::str::from_utf8(value))
                        && let Ok(value) = value.parse()
                    {
                        totals.add(series, value);
                    }
                }
                Ok(totals)
            }
            Self::KeyValue => {
                let entry = KeyValue
                    .get(METRICS_KEY)
                    .await
                    .map_err(|error| error.to_string())?;
                Ok(entry.map(|bytes| read_text(&bytes)).unwrap_or_default())
            }
        }
    }
}

fn read_text(bytes: &[u8]) -> Counters {
    Counters::from_text(&String::from_utf8_lossy(bytes))
}

//! State on one machine, in a key-value store that adds to numbers: no leases, no pools, no expiry.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::future::Future;
use std::time::Duration;

use spillway_platform::{
    Admission, Clock, Counted, Hold, LIMIT_KEY_PREFIX, LeaseName, PoolEntry, State, StateError,
    Take, Taken, Waiting,
};

use crate::nonce::nonce_number_key;
use crate::{Increment, METRICS_KEY, forget_in_numbers, number_expires_ms, take_from_numbers};

/// How often a change of the totals is tried while other instances change them too.
const MAX_TRIES: u32 = 32;

/// So many expired numbers at most are removed in one go; the next probe or scrape goes on.
const MAX_REMOVED: usize = 2_000;

/// A key-value store that keeps numbers and values.
pub trait KeyValue: Increment<Error: Display> + 'static {
    /// The names of all keys.
    ///
    /// # Errors
    /// The store's own.
    fn keys(&self) -> impl Future<Output = Result<Vec<String>, Self::Error>>;

    /// Removes a key.
    ///
    /// # Errors
    /// The store's own.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), Self::Error>>;

    /// The value of a key.
    ///
    /// # Errors
    /// The store's own.
    fn value(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Self::Error>>;

    /// Replaces a value by what `change` makes of it, if nobody else has changed it in between: `false` where
    /// somebody has.
    ///
    /// # Errors
    /// The store's own.
    fn change(
        &self,
        key: &str,
        change: impl FnOnce(Option<Vec<u8>>) -> Vec<u8>,
    ) -> Result<bool, Self::Error>;
}

/// State in a key-value store.
#[derive(Debug)]
pub struct NumberStore<K, C> {
    store: K,
    clock: C,
}

impl<K: KeyValue, C: Clock> NumberStore<K, C> {
    /// In this store.
    pub fn new(store: K, clock: C) -> Self {
        Self { store, clock }
    }

    fn take(&self, asked: Admission<'_>) -> Result<Taken, StateError> {
        let now_ms = || milliseconds(self.clock.since_1970());
        take_from_numbers(&self.store, now_ms, asked.takes, asked.new_values).map_err(in_words)
    }
}

fn in_words(error: impl Display) -> StateError {
    StateError {
        message: error.to_string(),
        is_late: false,
    }
}

impl<K: KeyValue, C: Clock + 'static> State for NumberStore<K, C> {
    fn is_shared(&self) -> bool {
        false
    }

    async fn admit(&self, asked: Admission<'_>) -> Result<Taken, StateError> {
        self.take(asked)
    }

    async fn forget(&self, counted: &[Counted]) -> Result<(), StateError> {
        forget_in_numbers(&self.store, counted).map_err(in_words)
    }

    async fn renew(&self, _holds: &[Hold], _lease: &LeaseName) -> Result<(), StateError> {
        Err(needs_redis())
    }

    async fn release(&self, _holds: &[Hold], _lease: &LeaseName) -> Result<(), StateError> {
        Err(needs_redis())
    }

    async fn pool_read(
        &self,
        _provider: &str,
        _waiting: Waiting,
    ) -> Result<Vec<PoolEntry>, StateError> {
        Err(needs_redis())
    }

    async fn pool_write(
        &self,
        _provider: &str,
        _name: &str,
        _to: Option<(&str, u64)>,
    ) -> Result<(), StateError> {
        Err(needs_redis())
    }

    async fn claim_probe(&self, _provider: &str, _digest: &str) -> Result<bool, StateError> {
        // Every instance finds out by itself.
        Ok(true)
    }

    async fn claim_nonce(&self, nonce: &str, until: Duration) -> Result<bool, StateError> {
        let key = nonce_number_key(nonce, milliseconds(until));
        let count = self.store.increment(&key, 1).map_err(in_words)?;
        Ok(count == 1)
    }

    async fn add_totals(&self, amounts: &[(String, u64)]) -> Result<(), StateError> {
        for attempt in 1..=MAX_TRIES {
            let added = self
                .store
                .change(METRICS_KEY, |current| {
                    let mut totals = current.map(|bytes| read_totals(&bytes)).unwrap_or_default();
                    for (series, amount) in amounts {
                        let sum = totals.entry(series.clone()).or_default();
                        *sum = sum.saturating_add(*amount);
                    }
                    write_totals(&totals)
                })
                .map_err(in_words)?;
            if added {
                return Ok(());
            }
            let pause = Duration::from_millis(u64::from(attempt));
            self.clock.sleep(pause).await;
        }
        Err(in_words(
            "other instances changed the totals at the same time, again and again",
        ))
    }

    async fn totals(&self) -> Result<Vec<(String, u64)>, StateError> {
        let entry = self.store.value(METRICS_KEY).await.map_err(in_words)?;
        let totals = entry.map(|bytes| read_totals(&bytes)).unwrap_or_default();
        Ok(totals.into_iter().collect())
    }

    async fn probe(&self) -> Result<Duration, StateError> {
        let take = Take {
            key: format!("{LIMIT_KEY_PREFIX}probe"),
            limit: u32::MAX,
            window_ms: 1000,
            dry_run: false,
            cost_when_new: 0,
        };
        self.take(Admission {
            takes: &[take],
            holds: &[],
            lease: &LeaseName(String::new()),
            new_values: None,
        })?;
        Ok(Duration::ZERO)
    }

    async fn sweep(&self) -> Result<(), StateError> {
        let now = milliseconds(self.clock.since_1970());
        let keys = self.store.keys().await.map_err(in_words)?;
        let expired = keys
            .iter()
            .filter(|key| number_expires_ms(key).is_some_and(|expiry| expiry < now));
        for key in expired.take(MAX_REMOVED) {
            self.store.delete(key).await.map_err(in_words)?;
        }
        Ok(())
    }
}

/// `check` refuses a configuration that would come here.
fn needs_redis() -> StateError {
    in_words("this needs a Redis. Name one in `state.redis`")
}

/// One line a series: `series value`. Lines that are none are passed over: a store may hold an older release's.
fn read_totals(bytes: &[u8]) -> BTreeMap<String, u64> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().ok()?))
    });
    lines.collect()
}

fn write_totals(totals: &BTreeMap<String, u64>) -> Vec<u8> {
    let mut text = String::new();
    for (series, value) in totals {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{series} {value}");
    }
    text.into_bytes()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

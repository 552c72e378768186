//! State on one machine, in a key-value store that adds to numbers: no leases but for what is reserved, no pools, no
//! expiry.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use spillway_platform::{
    Admission, Admitted, Charge, Charged, Clock, IndexedLimit, LIMIT_KEY_PREFIX, LeaseName,
    MAX_INDEXED_UNSHARED, Mode, PoolEntry, Settled, State, StateError, UsageProfile, Waiting,
};

use crate::key_value::{half_minute, move_reservation, settle_reservation, standings_in_numbers};
use crate::limit_index::{LimitIndex, index_key};
use crate::metrics::metrics_key;
use crate::nonce::nonce_number_key;
use crate::totals::Totals;
use crate::usage::{UsageHistogram, usage_key};
use crate::{Increment, charge_in_numbers, number_expires_ms, settle_in_numbers};

/// How often a change of an entry is tried while other instances change it too.
const MAX_ATTEMPTS: u32 = 32;

/// So many limits are read in one go.
const READ_AT_ONCE: usize = 10;

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
    /// In which half minute what this instance has reserved counts: by lease and key.
    reserved: Mutex<BTreeMap<(String, String), u64>>,
}

impl<K: KeyValue, C: Clock> NumberStore<K, C> {
    /// In this store.
    pub fn new(store: K, clock: C) -> Self {
        Self {
            store,
            clock,
            reserved: Mutex::default(),
        }
    }

    fn charge(&self, asked: Admission<'_>) -> Result<Admitted, StateError> {
        if asked.charges.iter().any(Charge::is_in_flight) {
            return Err(without_redis());
        }
        let now_ms = || self.now_ms();
        let admitted = charge_in_numbers(&self.store, now_ms, asked.charges, asked.new_values);
        let admitted = admitted.map_err(in_words)?;
        if admitted.passes
            && let Ok(mut reserved) = self.reserved.lock()
        {
            for (charge, charged) in asked.charges.iter().zip(&admitted.charges) {
                if charge.is_reserved() && !charged.full && !charged.passed_over {
                    reserved.insert(name_of(asked.lease, charge), charged.sub_window);
                }
            }
        }
        Ok(admitted)
    }

    fn now_ms(&self) -> u64 {
        milliseconds(self.clock.since_1970())
    }

    /// Changes an entry that other instances change as well; one that is not there is empty.
    async fn change(
        &self,
        key: &str,
        change: impl Fn(Vec<u8>) -> Vec<u8>,
    ) -> Result<(), StateError> {
        for attempt in 1..=MAX_ATTEMPTS {
            let changed = self
                .store
                .change(key, |bytes| change(bytes.unwrap_or_default()));
            if changed.map_err(in_words)? {
                return Ok(());
            }
            let pause = Duration::from_millis(u64::from(attempt));
            self.clock.sleep(pause).await;
        }
        Err(in_words(
            "other instances changed it at the same time, again and again",
        ))
    }

    /// The half minute in which it counts, which it does no longer: it is settled once.
    fn take(&self, lease: &LeaseName, charge: &Charge) -> Option<u64> {
        let mut reserved = self.reserved.lock().ok()?;
        reserved.remove(&name_of(lease, charge))
    }
}

fn name_of(lease: &LeaseName, charge: &Charge) -> (String, String) {
    (lease.0.clone(), charge.key.clone())
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

    fn distance(&self) -> Option<Duration> {
        None
    }

    async fn admit(&self, asked: Admission<'_>, _: Waiting) -> Result<Admitted, StateError> {
        self.charge(asked)
    }

    async fn settle(&self, settled: &[Settled], name: &LeaseName) -> Result<(), StateError> {
        let (reserved, counted): (Vec<_>, Vec<_>) =
            settled.iter().partition(|one| one.charge.is_reserved());
        for one in reserved {
            if let Some(half_minute) = self.take(name, &one.charge) {
                let (charge, actual) = (&one.charge, one.actual);
                settle_reservation(&self.store, self.now_ms(), charge, half_minute, actual)
                    .map_err(in_words)?;
            }
        }
        // Nothing is asked twice here: no connection can break.
        settle_in_numbers(&self.store, counted).map_err(in_words)
    }

    async fn renew(&self, charges: &[Charge], lease: &LeaseName) -> Result<(), StateError> {
        let to = half_minute(self.now_ms());
        for charge in charges {
            if charge.is_in_flight() {
                return Err(without_redis());
            }
            if let Some(from) = self.take(lease, charge) {
                move_reservation(&self.store, charge, from, to).map_err(in_words)?;
                if let Ok(mut reserved) = self.reserved.lock() {
                    reserved.insert(name_of(lease, charge), to);
                }
            }
        }
        Ok(())
    }

    async fn release(&self, _in_flight: &[Charge], _lease: &LeaseName) -> Result<(), StateError> {
        Err(without_redis())
    }

    async fn pool_read(
        &self,
        _providers: &[&str],
        _waiting: Waiting,
    ) -> Result<Vec<Vec<PoolEntry>>, StateError> {
        Err(without_redis())
    }

    async fn pool_write(
        &self,
        _provider: &str,
        _name: &str,
        _to: Option<(&str, u64)>,
    ) -> Result<(), StateError> {
        Err(without_redis())
    }

    async fn claim_probe(&self, _provider: &str, _digest: &str) -> Result<bool, StateError> {
        // Every instance finds out by itself.
        Ok(true)
    }

    async fn claim_nonce(
        &self,
        nonce: &str,
        until: Duration,
        _claimant: &str,
        _: Waiting,
    ) -> Result<bool, StateError> {
        let key = nonce_number_key(nonce, milliseconds(until));
        let count = self.store.increment(&key, 1).map_err(in_words)?;
        Ok(count == 1)
    }

    async fn observe_usage(&self, name: &str, amount: u64) -> Result<(), StateError> {
        // Where another instance changes it at the same time, what one of them saw is as good as what both did.
        let change = |current: Option<Vec<u8>>| {
            let mut usage = current
                .map(|bytes| UsageHistogram::read(&bytes))
                .unwrap_or_default();
            usage.observe(amount);
            usage.write()
        };
        let changed = self.store.change(&usage_key(name), change);
        changed.map(|_| ()).map_err(in_words)
    }

    async fn usage_profile(
        &self,
        name: &str,
        _: Waiting,
    ) -> Result<Option<UsageProfile>, StateError> {
        let usage = self.store.value(&usage_key(name)).await.map_err(in_words)?;
        Ok(usage.and_then(|bytes| UsageHistogram::read(&bytes).profile()))
    }

    async fn add_totals(&self, version: &str, amounts: &[(String, u64)]) -> Result<(), StateError> {
        let key = metrics_key(version);
        let now = self.clock.since_1970().as_secs();
        self.change(&key, |bytes| {
            let mut totals = Totals::read(&bytes);
            totals.add(amounts, now);
            totals.write(now)
        })
        .await
    }

    async fn totals(&self, version: &str) -> Result<Vec<(String, u64)>, StateError> {
        let entry = self.store.value(&metrics_key(version)).await;
        let totals = entry.map_err(in_words)?.map(|bytes| Totals::read(&bytes));
        Ok(totals.unwrap_or_default().into_amounts().collect())
    }

    async fn index_limits(&self, limits: &[IndexedLimit]) -> Result<(), StateError> {
        let now = self.clock.since_1970().as_secs();
        self.change(&index_key(), |bytes| {
            let mut index = LimitIndex::read(&bytes);
            index.add(limits, now, MAX_INDEXED_UNSHARED);
            index.write()
        })
        .await
    }

    async fn indexed_limits(&self) -> Result<Vec<IndexedLimit>, StateError> {
        let entry = self.store.value(&index_key()).await.map_err(in_words)?;
        let mut index = LimitIndex::read(&entry.unwrap_or_default());
        let now = self.clock.since_1970().as_secs();
        index.add(&[], now, MAX_INDEXED_UNSHARED);
        Ok(index.into_limits())
    }

    async fn read_limits(&self, charges: &[Charge]) -> Result<Vec<Charged>, StateError> {
        let mut standings = Vec::with_capacity(charges.len());
        for some in charges.chunks(READ_AT_ONCE) {
            let read = standings_in_numbers(&self.store, self.now_ms(), some);
            standings.extend(read.map_err(in_words)?);
            // Reading stops everything else of this instance.
            self.clock.sleep(Duration::ZERO).await;
        }
        Ok(standings)
    }

    async fn probe(&self) -> Result<Duration, StateError> {
        let charge = Charge {
            key: format!("{LIMIT_KEY_PREFIX}probe"),
            cost: 1,
            limit: u64::from(u32::MAX),
            mode: Mode::Count {
                window_ms: 1000,
                cost_when_new: 0,
            },
            dry_run: false,
        };
        self.charge(Admission {
            charges: &[charge],
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
fn without_redis() -> StateError {
    in_words("this needs a Redis. Name one in `state.redis`")
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

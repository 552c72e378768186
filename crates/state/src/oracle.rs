//! The oracle: what the scripts do on Redis, done in memory on any clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use spillway_platform::{
    Admission, Admitted, Charge, Charged, Clock, IndexedLimit, LeaseName, MAX_INDEXED_LIMITS,
    PoolEntry, Settled, State, StateError, UsageProfile, Waiting,
};

use crate::limit_index::LimitIndex;
use crate::usage::UsageHistogram;
use crate::{MemoryStore, PROBE_CLAIM_MS};

/// State in memory that behaves as Redis does. A copy is the same state; another process knows nothing of it.
#[derive(Debug, Clone)]
pub struct Oracle<C> {
    clock: C,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    limits: MemoryStore,
    /// By provider and name: state, when it was written, and when it ends.
    pools: BTreeMap<(String, String), (String, u64, u64)>,
    /// What is claimed.
    claims: BTreeMap<String, Claim>,
    totals: BTreeMap<String, u64>,
    usage: BTreeMap<String, UsageHistogram>,
    index: LimitIndex,
    is_gone: bool,
    operations: Vec<&'static str>,
}

/// What is claimed, until when, and by whom: nobody, where it is the same who claims it.
#[derive(Debug)]
struct Claim {
    until: u64,
    by: String,
}

impl<C: Clock> Oracle<C> {
    /// Empty.
    pub fn new(clock: C) -> Self {
        Self {
            clock,
            memory: Arc::default(),
        }
    }

    /// Whether the store answers at all.
    pub fn set_gone(&self, is_gone: bool) {
        self.memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_gone = is_gone;
    }

    /// Forgets all that it knew, as a Redis does that keeps nothing on a disk.
    pub fn lose(&self) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.limits = MemoryStore::default();
        memory.pools.clear();
        memory.claims.clear();
        memory.totals.clear();
        memory.usage.clear();
        memory.index = LimitIndex::default();
    }

    /// What is in flight, by key, leases that have ended by themselves among it.
    pub fn leases(&self) -> Vec<(String, usize)> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.limits.leases()
    }

    /// What is reserved, by key.
    pub fn reserved(&self) -> Vec<(String, u64)> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.limits.reserved()
    }

    /// What is charged, by key.
    pub fn charged(&self) -> Vec<(String, u64)> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.limits.charged()
    }

    /// The operations that were asked for so far, in their order: round trips, were this a store elsewhere.
    pub fn operations(&self) -> Vec<&'static str> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.operations.clone()
    }

    fn with<T>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut Memory, u64) -> T,
    ) -> Result<T, StateError> {
        let now = u64::try_from(self.clock.since_1970().as_millis()).unwrap_or(u64::MAX);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.operations.push(operation);
        if memory.is_gone {
            return Err(StateError {
                message: "the store is gone".to_owned(),
                is_late: false,
            });
        }
        Ok(change(&mut memory, now))
    }

    fn claim(
        &self,
        operation: &'static str,
        name: String,
        until: impl FnOnce(u64) -> u64,
        by: &str,
    ) -> Result<bool, StateError> {
        self.with(operation, |memory, now| {
            let claim = memory.claims.get(&name).filter(|one| one.until > now);
            if let Some(claim) = claim {
                return !by.is_empty() && claim.by == by;
            }
            let (until, by) = (until(now), by.to_owned());
            memory.claims.insert(name, Claim { until, by });
            true
        })
    }
}

/// Whether a state replaces one that still holds: see `pool_write_v3.lua`.
fn is_news(known: &str, known_until: u64, state: &str, until: u64) -> bool {
    let is_stronger = match state {
        "served" => matches!(known, "doubted" | "trusted"),
        "doubted" => known == "trusted",
        _ => false,
    };
    let is_out = known == "out" && state != "out";
    let is_longer = known == state && known_until >= until;
    !(is_stronger || is_out || is_longer)
}

impl<C: Clock + 'static> State for Oracle<C> {
    fn is_shared(&self) -> bool {
        true
    }

    fn distance(&self) -> Option<Duration> {
        None
    }

    async fn admit(&self, asked: Admission<'_>, _: Waiting) -> Result<Admitted, StateError> {
        self.with("admit", |memory, now| memory.limits.admit(now, asked))
    }

    async fn settle(&self, settled: &[Settled], name: &LeaseName) -> Result<(), StateError> {
        self.with("settle", |memory, now| {
            memory.limits.settle(now, settled, name);
        })
    }

    async fn renew(&self, in_flight: &[Charge], lease: &LeaseName) -> Result<(), StateError> {
        self.with("renew", |memory, now| {
            memory.limits.renew(now, in_flight, lease)
        })
    }

    async fn release(&self, in_flight: &[Charge], lease: &LeaseName) -> Result<(), StateError> {
        self.with("release", |memory, _| {
            memory.limits.release(in_flight, lease)
        })
    }

    async fn pool_read(
        &self,
        providers: &[&str],
        _: Waiting,
    ) -> Result<Vec<Vec<PoolEntry>>, StateError> {
        self.with("pool_read", |memory, now| {
            let entries = |provider: &&str| {
                let entries = memory.pools.iter();
                let entries =
                    entries.filter(|((of, _), (_, _, until))| of == provider && *until > now);
                entries
                    .map(|((_, name), (state, since, until))| PoolEntry {
                        name: name.clone(),
                        state: state.clone(),
                        rest_ms: until.saturating_sub(now),
                        age_ms: now.saturating_sub(*since),
                    })
                    .collect()
            };
            providers.iter().map(entries).collect()
        })
    }

    async fn pool_write(
        &self,
        provider: &str,
        name: &str,
        to: Option<(&str, u64)>,
    ) -> Result<(), StateError> {
        self.with("pool_write", |memory, now| {
            let key = (provider.to_owned(), name.to_owned());
            match to {
                Some((state, time_ms)) => {
                    let until = now.saturating_add(time_ms);
                    let known = memory.pools.get(&key);
                    let known = known.filter(|(_, _, until)| *until > now);
                    if known.is_none_or(|(known, _, ends)| is_news(known, *ends, state, until)) {
                        memory.pools.insert(key, (state.to_owned(), now, until));
                    }
                }
                None => {
                    memory.pools.remove(&key);
                }
            }
        })
    }

    async fn claim_probe(&self, provider: &str, digest: &str) -> Result<bool, StateError> {
        let name = format!("probe {provider} {digest}");
        let until = |now: u64| now.saturating_add(PROBE_CLAIM_MS);
        self.claim("claim_probe", name, until, "")
    }

    async fn claim_nonce(
        &self,
        nonce: &str,
        until: Duration,
        claimant: &str,
        _: Waiting,
    ) -> Result<bool, StateError> {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        let name = format!("nonce {nonce}");
        self.claim("claim_nonce", name, |_| until, claimant)
    }

    async fn observe_usage(&self, name: &str, amount: u64) -> Result<(), StateError> {
        self.with("observe_usage", |memory, _| {
            memory
                .usage
                .entry(name.to_owned())
                .or_default()
                .observe(amount);
        })
    }

    async fn usage_profile(
        &self,
        name: &str,
        _: Waiting,
    ) -> Result<Option<UsageProfile>, StateError> {
        self.with("usage_profile", |memory, _| {
            memory.usage.get(name).and_then(UsageHistogram::profile)
        })
    }

    async fn add_totals(&self, _: &str, amounts: &[(String, u64)]) -> Result<(), StateError> {
        self.with("add_totals", |memory, _| {
            for (series, amount) in amounts {
                let sum = memory.totals.entry(series.clone()).or_default();
                *sum = sum.saturating_add(*amount);
            }
        })
    }

    async fn totals(&self, _: &str) -> Result<Vec<(String, u64)>, StateError> {
        self.with("totals", |memory, _| {
            memory.totals.clone().into_iter().collect()
        })
    }

    async fn index_limits(&self, limits: &[IndexedLimit]) -> Result<(), StateError> {
        self.with("index_limits", |memory, now| {
            let seconds = now.checked_div(1000).unwrap_or_default();
            memory.index.add(limits, seconds, MAX_INDEXED_LIMITS);
        })
    }

    async fn indexed_limits(&self) -> Result<Vec<IndexedLimit>, StateError> {
        self.with("indexed_limits", |memory, _| {
            memory.index.clone().into_limits()
        })
    }

    async fn read_limits(&self, charges: &[Charge]) -> Result<Vec<Charged>, StateError> {
        self.with("read_limits", |memory, now| {
            memory.limits.standings(now, charges)
        })
    }

    async fn probe(&self) -> Result<Duration, StateError> {
        self.with("probe", |_, _| Duration::ZERO)
    }

    async fn sweep(&self) -> Result<(), StateError> {
        Ok(())
    }
}

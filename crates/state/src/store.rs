//! The store that the configuration names: Redis, or the key-value store of one machine.

use std::time::Duration;

use spillway_platform::{
    Admission, Admitted, Charge, Charged, Clock, IndexedLimit, LeaseName, PoolEntry, Settled,
    State, StateError, UsageProfile, Waiting,
};

use crate::{KeyValue, NumberStore, RedisConnection, RedisStore};

/// One of the two stores.
#[derive(Debug)]
pub enum Store<R, K, C> {
    /// Shared by all replicas.
    Redis(Box<RedisStore<R, C>>),
    /// One machine's.
    Numbers(NumberStore<K, C>),
}

macro_rules! either {
    ($self:ident, $store:ident => $result:expr) => {
        match $self {
            Self::Redis($store) => $result,
            Self::Numbers($store) => $result,
        }
    };
}

impl<R: RedisConnection, K: KeyValue, C: Clock + 'static> State for Store<R, K, C> {
    fn is_shared(&self) -> bool {
        either!(self, store => store.is_shared())
    }

    fn distance(&self) -> Option<Duration> {
        either!(self, store => store.distance())
    }

    async fn admit(&self, asked: Admission<'_>, waiting: Waiting) -> Result<Admitted, StateError> {
        either!(self, store => store.admit(asked, waiting).await)
    }

    async fn settle(&self, settled: &[Settled], name: &LeaseName) -> Result<(), StateError> {
        either!(self, store => store.settle(settled, name).await)
    }

    async fn renew(&self, in_flight: &[Charge], lease: &LeaseName) -> Result<(), StateError> {
        either!(self, store => store.renew(in_flight, lease).await)
    }

    async fn release(&self, in_flight: &[Charge], lease: &LeaseName) -> Result<(), StateError> {
        either!(self, store => store.release(in_flight, lease).await)
    }

    async fn pool_read(
        &self,
        providers: &[&str],
        waiting: Waiting,
    ) -> Result<Vec<Vec<PoolEntry>>, StateError> {
        either!(self, store => store.pool_read(providers, waiting).await)
    }

    async fn observe_usage(&self, name: &str, amount: u64) -> Result<(), StateError> {
        either!(self, store => store.observe_usage(name, amount).await)
    }

    async fn usage_profile(
        &self,
        name: &str,
        waiting: Waiting,
    ) -> Result<Option<UsageProfile>, StateError> {
        either!(self, store => store.usage_profile(name, waiting).await)
    }

    async fn pool_write(
        &self,
        provider: &str,
        name: &str,
        to: Option<(&str, u64)>,
    ) -> Result<(), StateError> {
        either!(self, store => store.pool_write(provider, name, to).await)
    }

    async fn claim_probe(&self, provider: &str, digest: &str) -> Result<bool, StateError> {
        either!(self, store => store.claim_probe(provider, digest).await)
    }

    async fn claim_nonce(
        &self,
        nonce: &str,
        until: Duration,
        claimant: &str,
        waiting: Waiting,
    ) -> Result<bool, StateError> {
        either!(self, store => store.claim_nonce(nonce, until, claimant, waiting).await)
    }

    async fn add_totals(&self, version: &str, amounts: &[(String, u64)]) -> Result<(), StateError> {
        either!(self, store => store.add_totals(version, amounts).await)
    }

    async fn totals(&self, version: &str) -> Result<Vec<(String, u64)>, StateError> {
        either!(self, store => store.totals(version).await)
    }

    async fn index_limits(&self, limits: &[IndexedLimit]) -> Result<(), StateError> {
        either!(self, store => store.index_limits(limits).await)
    }

    async fn indexed_limits(&self) -> Result<Vec<IndexedLimit>, StateError> {
        either!(self, store => store.indexed_limits().await)
    }

    async fn read_limits(&self, charges: &[Charge]) -> Result<Vec<Charged>, StateError> {
        either!(self, store => store.read_limits(charges).await)
    }

    async fn probe(&self) -> Result<Duration, StateError> {
        either!(self, store => store.probe().await)
    }

    async fn sweep(&self) -> Result<(), StateError> {
        either!(self, store => store.sweep().await)
    }
}

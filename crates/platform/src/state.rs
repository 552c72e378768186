//! The port of shared state: what all instances of all replicas know together.
//!
//! Operations are typed: that one adapter runs scripts on Redis and another adds to numbers is nobody's business above.
//! Everything that is kept has an expiry, as an instance can die at any time.

use std::future::Future;
use std::time::Duration;

mod admission;
mod limit_index;
mod pool;
mod usage;

pub use admission::{
    Admission, Admitted, Charge, Charged, LEASE_MS, LIMIT_KEY_PREFIX, LeaseName, MAX_COST, Mode,
    NewValues, SETTLEMENT_MS, SETTLEMENT_TRIED_MS, Settled,
};
pub use limit_index::{IndexedLimit, MAX_INDEXED_LIMITS, MAX_INDEXED_UNSHARED};
pub use pool::PoolEntry;
pub use usage::{USAGE_KEY_PREFIX, UsageProfile};

/// Why the store gave no result that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StateError {
    /// For the operator: what is wrong, and what to do.
    pub message: String,
    /// It does answer, but later than a request waits. What it was told it will do.
    pub is_late: bool,
}

/// Who waits for an answer, and so for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Somebody, until then by [`Clock::now`](crate::Clock::now), whatever has to be opened or sent again for it. What was
    /// sent goes on by itself after that.
    Until(Duration),
    /// Nobody: an answer that comes late is taken, too.
    Nobody,
}

/// Where shared state is.
#[derive(Clone, PartialEq, Eq)]
pub struct StateLocation {
    /// The Redis; empty where there is none. It may hold a password.
    pub redis: String,
}

// The address stays out.
impl std::fmt::Debug for StateLocation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("StateLocation")
    }
}

/// State that instances share.
///
/// Where it [is shared](State::is_shared) by all replicas every operation works. Where it is one machine's numbers
/// there are no leases and no pools: `check` refuses what needs them.
///
/// ```
/// use std::time::Duration;
///
/// use spillway_platform::{Clock, State, Waiting};
///
/// /// What is known of a provider's endpoints and credentials, as far as the store says it within 20 ms.
/// async fn known(state: &impl State, clock: &impl Clock, provider: &str) -> Vec<String> {
///     let waiting = Waiting::Until(clock.now() + Duration::from_millis(20));
///     let pools = state.pool_read(&[provider], waiting).await.unwrap_or_default();
///     pools.into_iter().flatten().map(|entry| entry.name).collect()
/// }
/// ```
pub trait State: 'static {
    /// Whether replicas share it.
    fn is_shared(&self) -> bool;

    /// How long it takes to answer, where it is known to take long: a store elsewhere that has been asked before.
    fn distance(&self) -> Option<Duration>;

    /// Charges a request by every rule, or by none, in one step.
    ///
    /// # Errors
    /// [`StateError`]; after it the request may have been charged all the same, or be charged yet.
    fn admit(
        &self,
        asked: Admission<'_>,
        waiting: Waiting,
    ) -> impl Future<Output = Result<Admitted, StateError>>;

    /// Has charges come to what they are in truth, once for each `name`, however often it is asked. A window that is
    /// over stays as it is. What was reserved is charged now; `name` is the name under which it was.
    ///
    /// # Errors
    /// [`StateError`]; the charges may stay as they are then until their windows are over, or their lease ends.
    fn settle(
        &self,
        settled: &[Settled],
        name: &LeaseName,
    ) -> impl Future<Output = Result<(), StateError>>;

    /// Renews the lease of charges that are in flight or reserved, unless these are settled.
    ///
    /// # Errors
    /// [`StateError`].
    fn renew(
        &self,
        in_flight: &[Charge],
        lease: &LeaseName,
    ) -> impl Future<Output = Result<(), StateError>>;

    /// Ends charges that are in flight.
    ///
    /// # Errors
    /// [`StateError`]; they end with the lease then.
    fn release(
        &self,
        in_flight: &[Charge],
        lease: &LeaseName,
    ) -> impl Future<Output = Result<(), StateError>>;

    /// What is known of the endpoints and credentials of each of these providers, in their order.
    ///
    /// # Errors
    /// [`StateError`].
    fn pool_read(
        &self,
        providers: &[&str],
        waiting: Waiting,
    ) -> impl Future<Output = Result<Vec<Vec<PoolEntry>>, StateError>>;

    /// Changes what is known of one of them. `to` is a state and how long it lasts, in milliseconds; `None` takes the
    /// entry away.
    ///
    /// # Errors
    /// [`StateError`].
    fn pool_write(
        &self,
        provider: &str,
        name: &str,
        to: Option<(&str, u64)>,
    ) -> impl Future<Output = Result<(), StateError>>;

    /// Whether this caller, of all, is the one that probes a credential now.
    ///
    /// # Errors
    /// [`StateError`].
    fn claim_probe(
        &self,
        provider: &str,
        digest: &str,
    ) -> impl Future<Output = Result<bool, StateError>>;

    /// Whether a signed request comes for the first time; it is remembered until its signature is no longer good,
    /// `until` since 1970. `claimant` is a name that nobody else has: where this has to be sent twice, because a
    /// connection broke, it is not taken for a repetition.
    ///
    /// # Errors
    /// [`StateError`].
    fn claim_nonce(
        &self,
        nonce: &str,
        until: Duration,
        claimant: &str,
        waiting: Waiting,
    ) -> impl Future<Output = Result<bool, StateError>>;

    /// Adds to the totals of all instances. `version` tells totals apart whose series mean different things; a series
    /// that has not grown for 30 days is forgotten.
    ///
    /// # Errors
    /// [`StateError`]; after a time-out the amounts may have been added all the same.
    fn add_totals(
        &self,
        version: &str,
        amounts: &[(String, u64)],
    ) -> impl Future<Output = Result<(), StateError>>;

    /// The totals of all instances.
    ///
    /// # Errors
    /// [`StateError`].
    fn totals(&self, version: &str)
    -> impl Future<Output = Result<Vec<(String, u64)>, StateError>>;

    /// Adds what a call came to, to what is known of its kind. Asked twice, it counts twice.
    ///
    /// # Errors
    /// [`StateError`].
    fn observe_usage(
        &self,
        name: &str,
        amount: u64,
    ) -> impl Future<Output = Result<(), StateError>>;

    /// What is known of calls of this kind; `None`: nothing.
    ///
    /// # Errors
    /// [`StateError`].
    fn usage_profile(
        &self,
        name: &str,
        waiting: Waiting,
    ) -> impl Future<Output = Result<Option<UsageProfile>, StateError>>;

    /// Adds keys to the index of those that requests were counted under lately.
    ///
    /// # Errors
    /// [`StateError`].
    fn index_limits(&self, limits: &[IndexedLimit])
    -> impl Future<Output = Result<(), StateError>>;

    /// How many the index has room for.
    fn max_indexed_limits(&self) -> usize {
        if self.is_shared() {
            MAX_INDEXED_LIMITS
        } else {
            MAX_INDEXED_UNSHARED
        }
    }

    /// That index: those that were used last, in no order.
    ///
    /// # Errors
    /// [`StateError`].
    fn indexed_limits(&self) -> impl Future<Output = Result<Vec<IndexedLimit>, StateError>>;

    /// Where limits stand, of each charge, whose cost does not matter. Nothing is charged, and nothing is full.
    ///
    /// # Errors
    /// [`StateError`].
    fn read_limits(
        &self,
        charges: &[Charge],
    ) -> impl Future<Output = Result<Vec<Charged>, StateError>>;

    /// Does what a request does, over a connection of its own, and tells how far away the store is: what no longer
    /// can be written, or run, shows here.
    ///
    /// # Errors
    /// [`StateError`].
    fn probe(&self) -> impl Future<Output = Result<Duration, StateError>>;

    /// Removes some of what has expired, where the store does not do so itself.
    ///
    /// # Errors
    /// [`StateError`].
    fn sweep(&self) -> impl Future<Output = Result<(), StateError>>;
}

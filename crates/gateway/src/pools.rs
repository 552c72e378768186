//! What is known of providers' endpoints and credentials, shared with all other instances where there is a Redis.
//!
//! A pool is read at most once a second, in the background but for the first time, all of a route's in one call; it is
//! written when something changes, and no request waits for that. Without a Redis every instance finds out by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_platform::{Platform, PoolEntry, State};
use spillway_telemetry::Family;
use spillway_upstream::{Pool, SharedEntry, SharedState, Subject, Transition};

use crate::runtime::Ground;
use crate::state_access::{StateAccess, StateBudget};
use crate::{Log, Meter};

/// How old what is known may be.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// What is known of providers' endpoints and credentials.
pub(crate) struct PoolStates<P: Platform> {
    platform: P,
    state: Arc<P::State>,
    meter: Arc<Meter<P>>,
    log: Log<P>,
    /// When each provider's pool was last read, or began to be.
    read_at: Mutex<BTreeMap<String, Duration>>,
    access: Arc<StateAccess<P>>,
}

impl<P: Platform> PoolStates<P> {
    /// Shared through this store, where that is shared.
    pub fn new(ground: &Ground<P>) -> Self {
        Self {
            platform: ground.platform.clone(),
            state: Arc::clone(&ground.state),
            meter: Arc::clone(&ground.meter),
            log: ground.log.clone(),
            read_at: Mutex::default(),
            access: Arc::clone(&ground.access),
        }
    }

    /// Sees to it that what is known of these pools is no older than a second, or will not be in a moment.
    pub async fn refresh<'p>(
        self: &Arc<Self>,
        budget: &StateBudget,
        pools: impl Iterator<Item = &'p Arc<Pool>>,
    ) {
        if !self.state.is_shared() {
            return;
        }
        let (unknown, old) = self.due(pools);
        if !old.is_empty() {
            let states = Arc::clone(self);
            self.platform
                .spawn(async move { states.read(&old, None).await });
        }
        if !unknown.is_empty() {
            self.read(&unknown, Some(budget)).await;
        }
    }

    /// Which of these pools are to be read now: those that never were, and those that were too long ago.
    fn due<'p>(
        &self,
        pools: impl Iterator<Item = &'p Arc<Pool>>,
    ) -> (Vec<Arc<Pool>>, Vec<Arc<Pool>>) {
        let (mut unknown, mut old) = (Vec::new(), Vec::new());
        let now = self.platform.now();
        let Ok(mut read_at) = self.read_at.lock() else {
            return (unknown, old);
        };
        for pool in pools {
            match read_at.get_mut(pool.provider()) {
                Some(last) if now.saturating_sub(*last) < FRESH_FOR => {}
                Some(last) => {
                    *last = now;
                    old.push(Arc::clone(pool));
                }
                None => {
                    read_at.insert(pool.provider().to_owned(), now);
                    unknown.push(Arc::clone(pool));
                }
            }
        }
        (unknown, old)
    }

    /// Reads them, for a request that has so much time for it, or for none.
    async fn read(&self, pools: &[Arc<Pool>], budget: Option<&StateBudget>) {
        let began = self.platform.now();
        let providers: Vec<&str> = pools.iter().map(|pool| pool.provider()).collect();
        let read = async |waiting| self.state.pool_read(&providers, waiting).await;
        let read = match budget {
            Some(budget) => self.access.ask(Duration::MAX, budget, read).await,
            None => self.access.ask_for_nobody(read).await,
        };
        let Ok(read) = read else {
            return;
        };
        for (pool, entries) in pools.iter().zip(read) {
            let entries: Vec<SharedEntry> = entries.into_iter().filter_map(shared_entry).collect();
            pool.merge(self.platform.now(), began, &entries);
        }
    }

    /// Counts, logs and tells the other instances what has changed.
    pub fn publish(self: &Arc<Self>, pool: &Arc<Pool>, transition: Transition) {
        if transition.to.is_none_or(|(state, _)| state.is_setback()) {
            self.tell(&transition);
        } else if transition
            .to
            .is_some_and(|(state, _)| state == SharedState::Trusted)
        {
            self.log.info(&format!(
                "provider {}: {} serves, though the provider answers 401 to its list of models: for a day that list is not believed",
                transition.provider, transition.subject.thing
            ));
        }
        self.share(pool, transition);
    }

    fn tell(&self, transition: &Transition) {
        self.meter.count(|counters| {
            counters.add(
                Family::ProviderTransitions,
                [
                    transition.provider.clone().into(),
                    transition.subject.kind().into(),
                    transition.to_str().into(),
                ],
                1,
            );
        });
        let time = transition.to.map_or_else(String::new, |(_, time)| {
            format!(" for {} s", time.as_secs())
        });
        self.log.warn(&format!(
            "provider {}: {} is {}{time}{}",
            transition.provider,
            transition.subject.thing,
            transition.to_str(),
            transition.subject.whom()
        ));
    }

    fn share(self: &Arc<Self>, pool: &Arc<Pool>, transition: Transition) {
        if !self.state.is_shared() {
            return;
        }
        let (states, pool) = (Arc::clone(self), Arc::clone(pool));
        self.platform.spawn(async move {
            let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let to = transition
                .to
                .map(|(state, time)| (state.as_str(), milliseconds(time)));
            let field = transition.subject.field();
            let write = async |_| {
                let state = &states.state;
                state.pool_write(pool.provider(), &field, to).await
            };
            if states.access.ask_for_nobody(write).await.is_ok() {
                pool.shared(states.platform.now(), &transition.subject);
            }
        });
    }

    /// Whether this instance is the one that probes a credential now.
    pub async fn claims_probe(&self, pool: &Pool, digest: &str) -> bool {
        let claim = async |_| self.state.claim_probe(pool.provider(), digest).await;
        self.access.ask_for_nobody(claim).await.unwrap_or(false)
    }
}

fn shared_entry(entry: PoolEntry) -> Option<SharedEntry> {
    Some(SharedEntry {
        subject: Subject::of_field(&entry.name)?,
        state: SharedState::of_str(&entry.state)?,
        age: Duration::from_millis(entry.age_ms),
        rest: Duration::from_millis(entry.rest_ms),
    })
}

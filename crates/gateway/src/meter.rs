//! This instance's counters.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_platform::{IndexedLimit, MAX_INDEXED_LIMITS, Platform, State};
use spillway_telemetry::{Counters, totals_version};

use crate::Log;

/// From the first change to its adding up: no store write a request, and an instance that dies loses little.
const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// Sums in memory, added to the totals by a task of its own half a second after the first change.
pub struct Meter<P: Platform> {
    platform: P,
    state: Arc<P::State>,
    log: Log<P>,
    sums: Mutex<Sums>,
}

#[derive(Debug, Default)]
struct Sums {
    counters: Counters,
    /// Keys of limits that are used, for the index.
    limits: Vec<IndexedLimit>,
    is_scheduled: bool,
}

impl Sums {
    fn keep(&mut self, limits: Vec<IndexedLimit>) {
        let room = MAX_INDEXED_LIMITS.saturating_sub(self.limits.len());
        self.limits.extend(limits.into_iter().take(room));
    }
}

/// A task that waits to add them up. It may end with the request that began it, before its time: another is begun then.
struct Scheduled<P: Platform>(Arc<Meter<P>>);

impl<P: Platform> Drop for Scheduled<P> {
    fn drop(&mut self) {
        if let Ok(mut sums) = self.0.sums.lock() {
            sums.is_scheduled = false;
        }
    }
}

impl<P: Platform> Meter<P> {
    /// Adds up in this store.
    pub(crate) fn new(platform: P, state: Arc<P::State>, log: Log<P>) -> Self {
        Self {
            platform,
            state,
            log,
            sums: Mutex::default(),
        }
    }

    /// Counts, and sees to it that the count reaches the totals.
    pub fn count(self: &Arc<Self>, count: impl FnOnce(&mut Counters)) {
        self.change(|sums| count(&mut sums.counters));
    }

    /// Sees to it that these stand in the index of limits.
    pub fn index(self: &Arc<Self>, limits: impl Iterator<Item = IndexedLimit>) {
        let mut limits = limits.peekable();
        if limits.peek().is_some() {
            self.change(|sums| {
                let room = MAX_INDEXED_LIMITS.saturating_sub(sums.limits.len());
                sums.limits.extend(limits.take(room));
            });
        }
    }

    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Sums)) {
        let Ok(mut sums) = self.sums.lock() else {
            return;
        };
        change(&mut sums);
        if !std::mem::replace(&mut sums.is_scheduled, true) {
            drop(sums);
            let scheduled = Scheduled(Arc::clone(self));
            self.platform.spawn(Arc::clone(self).flush_later(scheduled));
        }
    }

    async fn flush_later(self: Arc<Self>, scheduled: Scheduled<P>) {
        self.platform.sleep(FLUSH_AFTER).await;
        drop(scheduled);
        let (delta, limits) = match self.sums.lock() {
            Ok(mut sums) => (sums.counters.take(), std::mem::take(&mut sums.limits)),
            Err(_) => return,
        };
        let added = self
            .state
            .add_totals(&totals_version(), &delta.to_series())
            .await;
        if let Err(error) = added {
            self.log.warn(&format!(
                "metrics: totals could not be added to, kept for the next time: {error}"
            ));
            if let Ok(mut sums) = self.sums.lock() {
                sums.counters.merge(delta);
                sums.keep(limits);
            }
        } else if !limits.is_empty()
            && let Err(error) = self.state.index_limits(&limits).await
        {
            self.log.warn(&format!(
                "limits: which of them are used could not be told, kept for the next time; /_gateway/api/limits lacks some till then: {error}"
            ));
            if let Ok(mut sums) = self.sums.lock() {
                sums.keep(limits);
            }
        }
    }
}

//! This instance's counters.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_platform::{Platform, State};
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
    is_scheduled: bool,
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
        let Ok(mut sums) = self.sums.lock() else {
            return;
        };
        count(&mut sums.counters);
        if !std::mem::replace(&mut sums.is_scheduled, true) {
            drop(sums);
            self.platform.spawn(Arc::clone(self).flush_later());
        }
    }

    async fn flush_later(self: Arc<Self>) {
        self.platform.sleep(FLUSH_AFTER).await;
        let delta = match self.sums.lock() {
            Ok(mut sums) => {
                sums.is_scheduled = false;
                sums.counters.take()
            }
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
            }
        }
    }
}

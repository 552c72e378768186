//! This instance's counters.

use std::sync::Mutex;
use std::time::Duration;

use spillway_platform::Clock;
use spillway_platform_spin::{self as spin, SpinClock};
use spillway_telemetry::Counters;

use crate::Totals;

/// From the first change to its adding up: no store write a request, and an instance that dies loses little.
const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// Sums in memory, added to the totals by a task of its own half a second after the first change.
#[derive(Debug)]
pub struct Meter {
    totals: Totals,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counters: Counters,
    is_scheduled: bool,
}

impl Meter {
    /// Adds up in these totals.
    pub fn new(totals: Totals) -> Self {
        Self {
            totals,
            state: Mutex::default(),
        }
    }

    /// Counts, and sees to it that the count reaches the totals.
    pub fn count(&'static self, count: impl FnOnce(&mut Counters)) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        count(&mut state.counters);
        if !std::mem::replace(&mut state.is_scheduled, true) {
            drop(state);
            spin::spawn(self.flush_later());
        }
    }

    async fn flush_later(&'static self) {
        SpinClock.sleep(FLUSH_AFTER).await;
        let delta = match self.state.lock() {
            Ok(mut state) => {
                state.is_scheduled = false;
                state.counters.take()
            }
            Err(_) => return,
        };
        if let Err(message) = self.totals.add(&delta).await {
            spin::log(&format!(
                "metrics: totals could not be added to, kept for the next time: {message}"
            ));
            if let Ok(mut state) = self.state.lock() {
                state.counters.merge(&delta);
            }
        }
    }
}

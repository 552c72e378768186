//! What a call has come to so far: it outlives the call where that is given up on its way.

use std::sync::Mutex;
use std::time::Duration;

use spillway_upstream::{AttemptLog, AttemptRecord, Stop};

use crate::Usage;

/// Written by the call, read by whoever tells of it.
#[derive(Debug, Default)]
pub struct CallProgress {
    pub(crate) attempts: AttemptLog,
    state: Mutex<CallState>,
}

#[derive(Debug, Clone, Copy, Default)]
struct CallState {
    usage: Option<Usage>,
    estimated_output: u64,
    first_content: Option<Duration>,
    stop: Option<Stop>,
    has_head: bool,
}

/// A call as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallReport {
    /// Every attempt in order, the one that is under way among them.
    pub attempts: Vec<AttemptRecord>,
    /// Tokens, as far as reported.
    pub usage: Option<Usage>,
    /// How many tokens what has come of the answer seems to be, by its texts: of one in one piece, where nothing was
    /// reported.
    pub estimated_output: u64,
    /// From the call's arrival to its stream's first content.
    pub first_content: Option<Duration>,
    /// Why nothing more was tried, where nobody served.
    pub stop: Option<Stop>,
}

impl CallProgress {
    /// How the call stands at this time of the call's clock.
    pub fn report(&self, now: Duration) -> CallReport {
        let state = self
            .state
            .lock()
            .map_or_else(|_| CallState::default(), |it| *it);
        CallReport {
            attempts: self.attempts.records(now),
            usage: state.usage,
            estimated_output: state.estimated_output,
            first_content: state.first_content,
            stop: state.stop,
        }
    }

    /// How many attempts have been made.
    pub fn attempt_count(&self) -> usize {
        self.attempts.count()
    }

    /// Whether the head of its stream has gone out.
    pub fn has_head(&self) -> bool {
        self.state.lock().is_ok_and(|state| state.has_head)
    }

    /// Says that it has.
    pub fn set_head(&self) {
        self.update(|state| state.has_head = true);
    }

    /// What the last attempt has come to so far.
    pub fn set_usage(&self, usage: Option<Usage>, estimated_output: u64) {
        self.update(|state| {
            state.usage = usage;
            state.estimated_output = estimated_output;
        });
    }

    /// The first time counts.
    pub(crate) fn set_first_content(&self, elapsed: impl FnOnce() -> Duration) {
        self.update(|state| {
            state.first_content.get_or_insert_with(elapsed);
        });
    }

    pub(crate) fn set_stop(&self, stop: Stop) {
        self.update(|state| state.stop = Some(stop));
    }

    fn update(&self, change: impl FnOnce(&mut CallState)) {
        if let Ok(mut state) = self.state.lock() {
            change(&mut state);
        }
    }
}

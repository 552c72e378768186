//! When to stop asking a store that does not answer.

use std::time::Duration;

/// Failures in a row after which the store is left alone.
const FAILURES_TO_OPEN: u32 = 3;

/// How long it is left alone before one request may try again: short, so that it is back in use within a second of
/// its return.
const PAUSE: Duration = Duration::from_millis(500);

/// A change of state, for the log and the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreTransition {
    /// The store is left alone from now on.
    Opened,
    /// The store is back in use.
    Closed,
}

impl StoreTransition {
    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
        }
    }
}

/// One instance's opinion of a store: closed (in use), or open (left alone, but for one try in each pause).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreBreaker {
    failures: u32,
    open_until: Option<Duration>,
}

impl StoreBreaker {
    /// Whether to ask the store at `now` (since any fixed moment). While open, says yes to one request a pause.
    pub fn allows(&mut self, now: Duration) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now >= until => {
                self.open_until = Some(now.saturating_add(PAUSE));
                true
            }
            Some(_) => false,
        }
    }

    /// Whether the store is left alone, but for tries.
    pub const fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// The store answered.
    pub fn succeeded(&mut self) -> Option<StoreTransition> {
        self.failures = 0;
        self.open_until.take().map(|_| StoreTransition::Closed)
    }

    /// It has not answered yet, on a connection that has not been silent for long. A store in use is slow, or far away;
    /// of one that did not answer before this is no news: whatever stands before it may take connections and say nothing.
    pub const fn is_late(&mut self) {
        if self.open_until.is_none() {
            self.failures = 0;
        }
    }

    /// The store did not answer.
    pub fn failed(&mut self, now: Duration) -> Option<StoreTransition> {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_TO_OPEN {
            return None;
        }
        let was_open = self.open_until.replace(now.saturating_add(PAUSE)).is_some();
        (!was_open).then_some(StoreTransition::Opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_tries_once_a_pause_and_closes_on_success() {
        let mut breaker = StoreBreaker::default();
        assert_eq!([breaker.failed(at(0)), breaker.failed(at(1))], [None, None]);
        breaker.is_late();
        assert_eq!([breaker.failed(at(2)), breaker.failed(at(3))], [None, None]);
        assert_eq!(breaker.failed(at(10)), Some(StoreTransition::Opened));
        assert!(!breaker.allows(at(509)));
        assert!(breaker.allows(at(510)));
        assert!(!breaker.allows(at(511)), "one try a pause");
        assert_eq!(breaker.failed(at(520)), None, "it is open already");
        breaker.is_late();
        assert!(!breaker.allows(at(1019)) && breaker.allows(at(1020)));
        assert_eq!(breaker.succeeded(), Some(StoreTransition::Closed));
        assert!(breaker.allows(at(1021)) && breaker.allows(at(1021)));
    }
}

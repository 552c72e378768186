//! A circuit breaker.
//!
//! ```text
//!            `failures` of the last `of` calls failed
//!   closed ──────────────────────────────────────────▶ open
//!     ▲  ▲                                              │ after `open_for`
//!     │  └── another instance closed it ────────────────┤
//!     │                                                 ▼
//!     └──────── a trial call succeeded ─────────── half-open ──▶ open, if a trial failed
//! ```
//!
//! Half-open lets one call of each consumer at a time through: nobody's trial keeps another consumer out. One that
//! never tells how it went (its client left) is given up after [`TRIAL_PATIENCE`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use spillway_config::CircuitBreaker;

/// How long a trial call may take before another one is let through.
const TRIAL_PATIENCE: Duration = Duration::from_secs(60);

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    rule: CircuitBreaker,
    state: State,
}

#[derive(Debug)]
enum State {
    /// With the last outcomes, `true` for a failure.
    Closed(VecDeque<bool>),
    Open {
        since: Duration,
        until: Duration,
        /// Since when other instances know of it.
        shared_since: Option<Duration>,
    },
    HalfOpen {
        /// When each consumer's trial began.
        trials: BTreeMap<String, Duration>,
    },
}

/// What a finished call did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Opened,
    Closed,
}

impl Breaker {
    /// A closed one.
    pub fn new(rule: CircuitBreaker) -> Self {
        Self {
            rule,
            state: State::Closed(VecDeque::new()),
        }
    }

    /// How long it stays open.
    pub(crate) fn open_for(&self) -> Duration {
        self.rule.open_for.duration()
    }

    /// Whether a call of this consumer may go through.
    pub fn allows(&self, now: Duration, consumer: &str) -> bool {
        match &self.state {
            State::Closed(_) => true,
            State::Open { until, .. } => now >= *until,
            State::HalfOpen { trials } => trials
                .get(consumer)
                .is_none_or(|began| now.saturating_sub(*began) >= TRIAL_PATIENCE),
        }
    }

    /// Says that a call is going through.
    pub(crate) fn enter(&mut self, now: Duration, consumer: &str) {
        match &mut self.state {
            State::Open { until, .. } if now >= *until => {
                self.state = State::HalfOpen {
                    trials: BTreeMap::from([(consumer.to_owned(), now)]),
                };
            }
            State::HalfOpen { trials } => {
                trials.insert(consumer.to_owned(), now);
            }
            State::Closed(_) | State::Open { .. } => {}
        }
    }

    /// Says that a call has served.
    pub(crate) fn succeeded(&mut self) -> Option<Change> {
        match &mut self.state {
            State::Closed(outcomes) => {
                note(outcomes, false, self.rule.of);
                None
            }
            // A call from before it opened, or one of last resort: it serves, so there is nothing to wait for.
            State::Open { .. } | State::HalfOpen { .. } => {
                self.state = State::Closed(VecDeque::new());
                Some(Change::Closed)
            }
        }
    }

    /// Says that a call has failed by the endpoint's fault.
    pub(crate) fn failed(&mut self, now: Duration) -> Option<Change> {
        match &mut self.state {
            State::Closed(outcomes) => {
                note(outcomes, true, self.rule.of);
                let failures = outcomes.iter().filter(|failed| **failed).count();
                if u32::try_from(failures).unwrap_or(u32::MAX) < self.rule.failures {
                    return None;
                }
                self.open(now)
            }
            State::Open { .. } | State::HalfOpen { .. } => self.open(now),
        }
    }

    /// Opens it, whatever has been counted. `None` where it is open.
    pub(crate) fn open(&mut self, now: Duration) -> Option<Change> {
        if self.open_since(now).is_some() {
            return None;
        }
        self.state = State::Open {
            since: now,
            until: now.saturating_add(self.open_for()),
            shared_since: None,
        };
        Some(Change::Opened)
    }

    /// Since when it is open, and until when.
    pub(crate) fn open_since(&self, now: Duration) -> Option<(Duration, Duration)> {
        match &self.state {
            State::Open { since, until, .. } if now < *until => Some((*since, *until)),
            State::Closed(_) | State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Whether nothing speaks against the endpoint.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// Whether it is as a new one: closed, and no failure counted.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(&self.state, State::Closed(outcomes) if !outcomes.contains(&true))
    }

    /// Says that a consumer's call tells nothing of the endpoint.
    pub(crate) fn forget(&mut self, consumer: &str) {
        if let State::HalfOpen { trials } = &mut self.state {
            trials.remove(consumer);
        }
    }

    /// Says that other instances know that it is open.
    pub(crate) fn shared(&mut self, now: Duration) {
        if let State::Open { shared_since, .. } = &mut self.state {
            shared_since.get_or_insert(now);
        }
    }

    /// Takes over what the store says: open for so much longer, or not open. `read_began` tells which news is older.
    pub(crate) fn merge(
        &mut self,
        now: Duration,
        read_began: Duration,
        open_for: Option<Duration>,
    ) {
        match (open_for, &mut self.state) {
            (
                Some(rest),
                State::Open {
                    until,
                    shared_since,
                    ..
                },
            ) => {
                *until = (*until).max(now.saturating_add(rest));
                shared_since.get_or_insert(now);
            }
            (Some(rest), State::Closed(_)) => {
                let until = now.saturating_add(rest);
                self.state = State::Open {
                    since: until.saturating_sub(self.rule.open_for.duration()),
                    until,
                    shared_since: Some(now),
                };
            }
            (
                None,
                State::Open {
                    until,
                    shared_since,
                    ..
                },
            ) if now < *until && shared_since.is_some_and(|since| since < read_began) => {
                self.state = State::Closed(VecDeque::new());
            }
            // A trial of one's own is newer than any other instance's opinion.
            (Some(_), State::HalfOpen { .. }) | (None, _) => {}
        }
    }
}

fn note(outcomes: &mut VecDeque<bool>, failed: bool, max: u32) {
    let max = usize::try_from(max).unwrap_or(usize::MAX).max(1);
    while outcomes.len() >= max {
        outcomes.pop_front();
    }
    outcomes.push_back(failed);
}

#[cfg(test)]
mod tests {
    use spillway_config::TimeSpan;

    use super::*;

    const RULE: CircuitBreaker = CircuitBreaker {
        failures: 3,
        of: 5,
        open_for: TimeSpan::from_secs(10),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn open() -> Breaker {
        let mut breaker = Breaker::new(RULE);
        assert_eq!(breaker.failed(at(0)), None);
        assert_eq!(breaker.failed(at(0)), None);
        assert_eq!(breaker.failed(at(0)), Some(Change::Opened));
        breaker
    }

    #[test]
    fn it_opens_when_enough_of_the_last_calls_failed() {
        let mut breaker = Breaker::new(RULE);
        for _ in 0..10 {
            assert_eq!(breaker.failed(at(0)), None);
            assert_eq!(breaker.succeeded(), None);
            assert_eq!(breaker.succeeded(), None);
            assert!(breaker.allows(at(0), "a"));
        }
        let breaker = open();
        assert!(!breaker.allows(at(9), "a") && breaker.allows(at(10), "a"));
    }

    #[test]
    fn half_open_lets_one_call_through() {
        let mut breaker = open();
        breaker.enter(at(10), "a");
        assert!(!breaker.allows(at(11), "a"), "one trial at a time");
        assert_eq!(breaker.failed(at(12)), Some(Change::Opened));
        assert!(!breaker.allows(at(21), "a") && breaker.allows(at(22), "a"));
        breaker.enter(at(22), "a");
        assert_eq!(breaker.succeeded(), Some(Change::Closed));
        assert!(breaker.allows(at(23), "a"));
        assert_eq!(breaker.failed(at(23)), None, "it begins to count anew");
    }

    #[test]
    fn a_trial_that_tells_nothing_makes_room_for_another() {
        let mut breaker = open();
        breaker.enter(at(10), "a");
        breaker.forget("a");
        assert!(breaker.allows(at(11), "a"));
        breaker.enter(at(11), "a");
        assert!(!breaker.allows(at(12), "a"));
        assert!(breaker.allows(at(71), "a"), "its call has been lost");
    }

    #[test]
    fn nobodys_trial_keeps_another_consumer_out() {
        let mut breaker = open();
        breaker.enter(at(10), "a");
        assert!(!breaker.allows(at(11), "a") && breaker.allows(at(11), "b"));
        breaker.enter(at(11), "b");
        breaker.forget("a");
        assert!(breaker.allows(at(12), "a") && !breaker.allows(at(12), "b"));
    }

    #[test]
    fn what_others_found_is_taken_over_and_given_up_with_them() {
        let mut breaker = Breaker::new(RULE);
        breaker.merge(at(0), at(0), Some(at(8)));
        assert!(!breaker.allows(at(7), "a"));
        breaker.merge(at(2), at(1), None);
        assert!(breaker.allows(at(2), "a"), "somebody else closed it");

        let mut breaker = open();
        breaker.merge(at(1), at(1), None);
        assert!(
            !breaker.allows(at(1), "a"),
            "the store does not know yet what was found here"
        );
        breaker.shared(at(2));
        breaker.merge(at(3), at(1), None);
        assert!(!breaker.allows(at(3), "a"), "that was read before");
        breaker.merge(at(5), at(4), None);
        assert!(breaker.allows(at(5), "a"));
    }
}

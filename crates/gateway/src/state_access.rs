//! Asking a store that may be slow or gone.
//!
//! Rule: all that one request waits for the store has one end, `state.timeout`, whatever is asked, opened or sent again; what
//! is not there by then is decided without it. And all of an instance have one opinion of the store: after a few failures
//! in a row it is left alone for moments, see [`StoreBreaker`]. What verdicts make of it holds for all else as well; but
//! that something else could be read says nothing of verdicts, which are written.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_platform::{Platform, StateError, Waiting};
use spillway_state::{StoreBreaker, StoreTransition};
use spillway_telemetry::Family;

use crate::{Log, Meter};

/// A late answer is logged no more often.
const LATE_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// How long one request may still wait for the store.
#[derive(Debug)]
pub(crate) struct StateBudget(Cell<Duration>);

impl StateBudget {
    fn spend(&self, time: Duration) {
        self.0.set(self.0.get().saturating_sub(time));
    }
}

/// Why the store has told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It is being left alone, and was not asked.
    LeftAlone,
    /// The request has waited for it long enough before, and did not ask.
    NoTime,
    /// It has not answered in time, but does answer.
    Late,
    /// It did not answer, or with an error.
    Failed,
}

impl NoAnswer {
    /// Whether it may have done what it was asked, or do it yet.
    pub const fn may_be_done(self) -> bool {
        matches!(self, Self::Late | Self::Failed)
    }
}

/// One instance's way to the store.
pub(crate) struct StateAccess<P: Platform> {
    platform: P,
    meter: Arc<Meter<P>>,
    log: Log<P>,
    /// How long a request waits for it in all.
    timeout: Duration,
    /// Of verdicts, and of all else.
    verdicts: Mutex<StoreBreaker>,
    others: Mutex<StoreBreaker>,
    /// When an answer was last logged as late.
    late_logged: Mutex<Option<Duration>>,
}

impl<P: Platform> StateAccess<P> {
    /// To a store for which each request waits so long in all.
    pub fn new(platform: P, meter: Arc<Meter<P>>, log: Log<P>, timeout: Duration) -> Self {
        Self {
            platform,
            meter,
            log,
            timeout,
            verdicts: Mutex::default(),
            others: Mutex::default(),
            late_logged: Mutex::default(),
        }
    }

    /// Whether a request has time to ask so often a store that takes so long to answer.
    pub fn has_time_for(&self, asked: u32, distance: Duration) -> bool {
        distance.saturating_mul(asked) < self.timeout
    }

    /// Of a request that has just come.
    pub const fn budget(&self) -> StateBudget {
        StateBudget(Cell::new(self.timeout))
    }

    /// Asks for a verdict on a request, which waits for as long as it still may.
    pub async fn verdict<T>(
        &self,
        budget: &StateBudget,
        call: impl AsyncFnOnce(Waiting) -> Result<T, StateError>,
    ) -> Result<T, NoAnswer> {
        self.within(Duration::MAX, budget, &self.verdicts, call)
            .await
    }

    /// Asks for something that a request can do without: it waits no longer than this, nor than it still may.
    pub async fn ask<T>(
        &self,
        most: Duration,
        budget: &StateBudget,
        call: impl AsyncFnOnce(Waiting) -> Result<T, StateError>,
    ) -> Result<T, NoAnswer> {
        self.within(most, budget, &self.others, call).await
    }

    async fn within<T>(
        &self,
        most: Duration,
        budget: &StateBudget,
        breaker: &Mutex<StoreBreaker>,
        call: impl AsyncFnOnce(Waiting) -> Result<T, StateError>,
    ) -> Result<T, NoAnswer> {
        let left = budget.0.get().min(most);
        if left.is_zero() {
            return Err(NoAnswer::NoTime);
        }
        let began = self.platform.now();
        let until = Waiting::Until(began.saturating_add(left));
        let answer = self.run(until, breaker, call).await;
        budget.spend(self.platform.now().saturating_sub(began));
        answer
    }

    /// Asks where no request waits.
    pub async fn ask_for_nobody<T>(
        &self,
        call: impl AsyncFnOnce(Waiting) -> Result<T, StateError>,
    ) -> Result<T, NoAnswer> {
        self.run(Waiting::Nobody, &self.others, call).await
    }

    async fn run<T>(
        &self,
        waiting: Waiting,
        breaker: &Mutex<StoreBreaker>,
        call: impl AsyncFnOnce(Waiting) -> Result<T, StateError>,
    ) -> Result<T, NoAnswer> {
        let is_other = std::ptr::eq(breaker, &self.others);
        if is_other && self.verdicts.lock().is_ok_and(|it| it.is_open()) {
            return Err(NoAnswer::LeftAlone);
        }
        let is_probe = {
            let mut breaker = breaker.lock().map_err(|_| NoAnswer::LeftAlone)?;
            if !breaker.allows(self.platform.now()) {
                return Err(NoAnswer::LeftAlone);
            }
            breaker.is_open()
        };
        let result = call(waiting).await;
        let transition = self.judge(breaker, result.as_ref().err());
        self.tell(result.as_ref().err(), transition, is_probe);
        result.map_err(|error| {
            if error.is_late {
                NoAnswer::Late
            } else {
                NoAnswer::Failed
            }
        })
    }

    fn judge(
        &self,
        breaker: &Mutex<StoreBreaker>,
        error: Option<&StateError>,
    ) -> Option<StoreTransition> {
        let mut breaker = breaker.lock().ok()?;
        match error {
            None => breaker.succeeded(),
            Some(error) if error.is_late => {
                breaker.is_late();
                None
            }
            Some(_) => breaker.failed(self.platform.now()),
        }
    }

    /// What the operator should know of the store.
    fn tell(
        &self,
        error: Option<&StateError>,
        transition: Option<StoreTransition>,
        is_probe: bool,
    ) {
        match (error, transition) {
            (Some(error), Some(_)) => self.log.warn(&format!(
                "state: the store does not answer and is left alone for now: limits go by on_error, and every instance finds out about providers by itself: {error}"
            )),
            // That it is left alone has been said.
            (Some(error), None) if !is_probe && !error.is_late => {
                self.log.warn(&format!("state: {error}"));
            }
            (None, Some(_)) => self.log.info("state: the store answers again"),
            (_, None) => {}
        }
        if let Some(transition) = transition {
            self.meter.count(|counters| {
                counters.add(Family::StateTransitions, [transition.as_str().into()], 1);
            });
        }
    }

    /// Counts and tells, once in a while, that a request was decided without a verdict that comes too late: it may be every
    /// request's lot.
    pub fn tell_late(&self, why: NoAnswer) {
        if !matches!(why, NoAnswer::Late | NoAnswer::NoTime) {
            return;
        }
        self.meter
            .count(|counters| counters.add(Family::StateLate, [], 1));
        let now = self.platform.now();
        let Ok(mut logged) = self.late_logged.lock() else {
            return;
        };
        if logged.is_none_or(|logged| now.saturating_sub(logged) >= LATE_LOGGED_EVERY) {
            *logged = Some(now);
            self.log.warn(&format!(
                "state: no answer within {} ms (`state.timeout`): Redis is slow, or far away. A request was decided without its verdict, as on_error says. /_gateway/health/ready tells the distance",
                self.timeout.as_millis()
            ));
        }
    }
}

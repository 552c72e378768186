//! One call's way through its targets.

mod choosing;

use std::time::Duration;

use spillway_config::Fallback;

use crate::{Blame, Budget, Failure, Outcome, PickContext, Pool, Tried, Way};

/// However long a back-off grows, no longer than this.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(8);

/// What the call does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is sent to this target on this way.
    Try {
        /// The target's place in its route.
        target: usize,
        /// The endpoint and the key.
        way: Way,
    },
    /// It waits so long, and asks again.
    Wait(Duration),
    /// It has failed.
    Stop(Stop),
}

/// Why a call is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Every way that it may take has been tried.
    Exhausted,
    /// `max_attempts` is reached.
    Attempts,
    /// The deadline has passed, or would pass while it waits.
    Deadline,
    /// The retry budget is used up.
    Budget,
    /// Nothing was sent: every key is cooling, for so much longer.
    Cooling(Duration),
    /// Nothing was sent: no key is within its time.
    NoKey,
}

/// One call's way through its targets.
#[derive(Debug)]
pub struct Chain<'a> {
    fallback: &'a Fallback,
    budget: &'a Budget,
    targets: Vec<Target<'a>>,
    /// Whose call it is.
    consumer: &'a str,
    /// Differs from call to call.
    turn: u32,
    attempts: u32,
    rounds: u32,
    /// The place in `targets` of the one that is being tried.
    current: usize,
    failed: Option<Failed>,
    /// A wait was asked for, and a new round begins after it.
    begins_anew: bool,
    /// All that it could ask had been busy before it came.
    knew_busy: bool,
    /// The way on which it begins, whatever is known of it.
    begins_with: Option<Way>,
    /// It began where all endpoints were left alone.
    began_in_need: bool,
}

#[derive(Debug)]
struct Target<'a> {
    index: usize,
    pool: &'a Pool,
    /// The provider's name for the model.
    model: &'a str,
    tried: Tried,
    /// It has been tried in this round.
    was_asked: bool,
    /// The way that got a 429 here, in this round.
    limited: Option<Way>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    failure: Failure,
    retry_after: Option<Duration>,
    /// Somebody of the target is at fault, so that another way to it may be better.
    has_culprit: bool,
    has_key: bool,
}

impl<'a> Chain<'a> {
    /// A consumer's call, or nobody's where that is empty, that may be sent to these targets, in this order: each its
    /// place in the route, its provider's pool, and the provider's name for its model.
    pub fn new(
        targets: impl IntoIterator<Item = (usize, &'a Pool, &'a str)>,
        fallback: &'a Fallback,
        budget: &'a Budget,
        consumer: &'a str,
        turn: u32,
    ) -> Self {
        budget.pay_in();
        let targets = targets.into_iter().map(|(index, pool, model)| Target {
            index,
            pool,
            model,
            tried: Tried::default(),
            was_asked: false,
            limited: None,
        });
        Self {
            fallback,
            budget,
            targets: targets.collect(),
            consumer,
            turn,
            attempts: 0,
            rounds: 0,
            current: 0,
            failed: None,
            begins_anew: false,
            knew_busy: false,
            begins_with: None,
            began_in_need: false,
        }
    }

    /// Begins on this way to the first target, whatever is known of it.
    pub fn prefer(&mut self, way: Way) {
        self.begins_with = Some(way);
    }

    /// How often the call has been sent.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How many targets there are to go, the one that is being tried among them.
    pub fn targets_left(&self) -> u32 {
        let left = self.targets.len().saturating_sub(self.current);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Notes that the last attempt has failed; with the time that the provider asked to be left alone for.
    pub fn failed(&mut self, way: Way, failure: Failure, retry_after: Option<Duration>) {
        let target = self.targets.get_mut(self.current);
        let has_culprit = target.is_some_and(|target| {
            if failure == Failure::Status(429) {
                target.limited = Some(way);
            }
            target.tried.note(way, failure.blame())
        });
        self.failed = Some(Failed {
            failure,
            retry_after,
            has_culprit,
            has_key: way.key.is_some(),
        });
    }

    /// What to do next. `elapsed` is the time since the call's arrival; `now` is what pools go by.
    pub fn next(&mut self, now: Duration, unix_seconds: u64, elapsed: Duration) -> Step {
        let context = self.context(now, unix_seconds);
        let Some(failed) = self.failed else {
            return self.first(context, elapsed);
        };
        if elapsed >= self.fallback.deadline.duration() {
            return Step::Stop(Stop::Deadline);
        }
        if self.fallback.max_attempts > 0 && self.attempts >= self.fallback.max_attempts {
            return Step::Stop(Stop::Attempts);
        }
        if std::mem::take(&mut self.begins_anew) {
            for target in &mut self.targets {
                target.tried = Tried::default();
                target.was_asked = false;
                target.limited = None;
            }
            self.current = 0;
            let is_first_repeat = self.attempts == 1;
            let found = self
                .choose_from(0, context)
                .or_else(|| self.choose_suspect(context));
            if let Some(found) = found {
                return self.again(found, failed, is_first_repeat);
            }
            let busy = self.find(|target| target.pool.choose_busy(context));
            return match busy {
                // Nothing keeps the next call from it either, so it is no move.
                Some(found) => self.again(found, failed, false),
                None => Step::Stop(Stop::Exhausted),
            };
        }
        if failed.has_culprit
            && let Some(found) = self.choose_at(self.current, context)
        {
            return self.again(found, failed, true);
        }
        let leads_on = self.leads_on(failed.failure);
        let next = self.current.saturating_add(1);
        if leads_on && let Some(found) = self.choose_from(next, context) {
            return self.again(found, failed, true);
        }
        if failed.has_culprit
            && let Some(found) = self.choose_suspect_at(self.current, context)
        {
            return self.again(found, failed, true);
        }
        if !leads_on {
            return Step::Stop(Stop::Exhausted);
        }
        let found = self
            .choose_suspect(context)
            .or_else(|| self.choose_limited(context));
        if let Some(found) = found {
            return self.again(found, failed, true);
        }
        // An endpoint that is left alone may have recovered, and nobody else is there. Where all are, calls take turns:
        // one attempt more for each of them would only add to the storm.
        if !self.began_in_need
            && let Some(found) = self.choose_ejected(context)
        {
            return self.again(found, failed, true);
        }
        self.round_again(failed, context, elapsed)
    }

    /// The first attempt: never refused for want of time or budget, and if need be sent where things look bad.
    fn first(&mut self, context: PickContext<'_>, elapsed: Duration) -> Step {
        if let Some(way) = self.begins_with.take() {
            return self.go((0, way));
        }
        if let Some(found) = self.choose_from(0, context) {
            return self.go(found);
        }
        if let Some(found) = self.choose_suspect(context) {
            return self.go(found);
        }
        if let Some(found) = self.find(|target| target.pool.choose_busy(context)) {
            self.knew_busy = true;
            return self.go(found);
        }
        if let Some(found) = self.choose_last_resort(context) {
            self.began_in_need = true;
            return self.go(found);
        }
        let cooling = self
            .targets
            .iter()
            .filter_map(|target| target.pool.key_in(context, &target.tried))
            .min();
        if let Some(rest) = cooling {
            let left = self.left_after(rest, elapsed);
            return if left.is_zero() {
                Step::Stop(Stop::Cooling(rest))
            } else {
                let spread = self.spread(rest, left).max(Duration::from_millis(1));
                Step::Wait(rest.saturating_add(spread))
            };
        }
        match self.find(|target| target.pool.choose_key_that_is_out(context)) {
            Some(found) => self.go(found),
            None => Step::Stop(Stop::NoKey),
        }
    }

    fn find(&self, choose: impl Fn(&Target<'_>) -> Option<Way>) -> Option<(usize, Way)> {
        self.targets
            .iter()
            .enumerate()
            .find_map(|(place, target)| Some((place, choose(target)?)))
    }

    /// Everything has been tried. Where more attempts are allowed the targets are tried once more, after a while.
    fn round_again(&mut self, failed: Failed, context: PickContext<'_>, elapsed: Duration) -> Step {
        // Left to itself, a call that had only one way to go takes it once more, and one that finds everybody limited
        // comes back when it was asked to.
        let is_limited = failed.failure == Failure::Status(429);
        // What has been busy for a while will be so a moment later.
        let is_still_busy = self.knew_busy && is_limited;
        let is_allowed = self.fallback.max_attempts > 0
            || (self.rounds == 0 && !is_still_busy && (self.attempts == 1 || is_limited));
        if !is_allowed || !failed.failure.may_pass() {
            return Step::Stop(Stop::Exhausted);
        }
        // What a key was told its cooling says; what an endpoint was told holds for the call.
        let told = match failed.failure.blame() {
            Blame::Key if failed.has_key => None,
            Blame::Endpoint | Blame::Key | Blame::Nobody => failed.retry_after,
        };
        let back_off = self.back_off().max(told.unwrap_or_default());
        let waits = self.targets.iter().filter_map(|target| {
            let wait = target.pool.key_in(context, &target.tried)?.max(back_off);
            let then = context.now.saturating_add(wait);
            let pool = target.pool;
            pool.has_endpoint_at(then, self.consumer).then_some(wait)
        });
        let Some(wait) = waits.min() else {
            return Step::Stop(Stop::Exhausted);
        };
        let left = self.left_after(wait, elapsed);
        if left.is_zero() {
            return Step::Stop(Stop::Deadline);
        }
        let wait = wait.saturating_add(self.spread(wait.saturating_sub(back_off), left));
        self.begins_anew = true;
        self.rounds = self.rounds.saturating_add(1);
        Step::Wait(wait)
    }

    /// What is put on a wait that ends for many calls at once, so that they do not all come in the same moment: up to
    /// a quarter of it, two seconds at most, and no more than half of what is left then: somebody has to answer yet.
    fn spread(&self, wait: Duration, left: Duration) -> Duration {
        let most = wait
            .checked_div(4)
            .unwrap_or_default()
            .min(Duration::from_secs(2))
            .min(left.checked_div(2).unwrap_or_default());
        let share = self.turn.wrapping_mul(0x9E37_79B9) >> 24;
        let part = most.saturating_mul(share).checked_div(256);
        part.unwrap_or_default()
    }

    /// What is left until the deadline after such a wait.
    fn left_after(&self, wait: Duration, elapsed: Duration) -> Duration {
        let deadline = self.fallback.deadline.duration();
        deadline.saturating_sub(elapsed.saturating_add(wait))
    }

    /// Doubled each round, and up to a half of it taken off, so that calls which failed together do not come back
    /// together.
    fn back_off(&self) -> Duration {
        let whole = self
            .fallback
            .back_off
            .duration()
            .saturating_mul(1_u32.checked_shl(self.rounds).unwrap_or(u32::MAX))
            .min(LONGEST_BACK_OFF);
        let share = self.turn.wrapping_mul(0x9E37_79B9) >> 24;
        let off = whole.saturating_mul(share).checked_div(512);
        whole.saturating_sub(off.unwrap_or_default())
    }

    fn leads_on(&self, failure: Failure) -> bool {
        self.fallback
            .on
            .iter()
            .any(|condition| failure.meets(*condition))
    }

    /// The next key and endpoint in turn, for a second attempt as for a second call.
    fn context(&self, now: Duration, unix_seconds: u64) -> PickContext<'a> {
        PickContext {
            now,
            unix_seconds,
            turn: self.turn.wrapping_add(self.attempts),
            consumer: self.consumer,
        }
    }

    /// A further attempt, if the budget has one. `moves`: to where the call has not been yet, or for the first time to
    /// where it has been.
    fn again(&mut self, found: (usize, Way), failed: Failed, moves: bool) -> Step {
        let may = match failed.failure.blame() {
            // What one model refuses another may take: that is no storm, however many calls it happens to, and no
            // target is asked twice.
            Blame::Nobody => true,
            // Soon set aside, if that happens often.
            Blame::Endpoint | Blame::Key if moves => self.budget.draw_to_move(),
            Blame::Endpoint | Blame::Key => self.budget.draw(),
        };
        if may {
            return self.go(found);
        }
        if let (Some(target), (_, way)) = (self.targets.get(found.0), found) {
            // The way was taken, but is not gone.
            let pool = target.pool;
            pool.report(Duration::ZERO, self.consumer, way, Outcome::Unknown);
        }
        Step::Stop(Stop::Budget)
    }

    fn go(&mut self, (place, way): (usize, Way)) -> Step {
        self.attempts = self.attempts.saturating_add(1);
        self.current = place;
        let target = self.targets.get_mut(place).map_or(place, |target| {
            target.was_asked = true;
            target.index
        });
        Step::Try { target, way }
    }
}

//! Through which targets one call goes, in which order.

mod choosing;
mod rounds;

use std::time::Duration;

use spillway_config::Fallback;

use crate::{Blame, Budget, CallContext, Candidates, Excluded, Failure, Pick, Pool};

/// What the call does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// It is sent to this target.
    Try {
        /// The target's place in the chain.
        target: usize,
        /// The credential, and the endpoints that may serve it.
        candidates: Candidates<'a>,
    },
    /// It waits so long, and asks again.
    Wait(Duration),
    /// It has failed.
    Stop(Stop),
}

/// Why a call is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All that it may be sent with and to has been tried.
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
    /// Nothing was sent: there is no target that may serve it.
    NoTarget,
}

/// Through which targets one call goes.
#[derive(Debug)]
pub struct Chain<'a> {
    fallback: &'a Fallback,
    budget: &'a Budget,
    targets: Vec<Target<'a>>,
    /// Whose call it is.
    consumer: &'a str,
    /// Differs from call to call.
    sequence: u32,
    attempts: u32,
    rounds: u32,
    /// The place in `targets` of the one that is being tried.
    current: usize,
    failed: Option<Failed>,
    /// A wait was asked for, and a new round begins after it.
    begins_anew: bool,
    /// All that it could ask had been busy before it came.
    knew_busy: bool,
    /// It begins where all calls of its consumer begin, whatever is known of that.
    has_affinity: bool,
    /// It began where all endpoints were ejected.
    began_as_last_resort: bool,
}

/// A target's place, and what the call may be sent there with and to.
type Found<'a> = (usize, Candidates<'a>);

#[derive(Debug)]
struct Target<'a> {
    pool: &'a Pool,
    /// The provider's name for the model.
    model: &'a str,
    excluded: Excluded,
    /// It has been tried in this round.
    was_asked: bool,
    /// What got a 429 here, in this round.
    limited: Option<Pick>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    failure: Failure,
    retry_after: Option<Duration>,
    /// Somebody of the target is at fault, so that another endpoint or credential of it may be better.
    has_culprit: bool,
    has_key: bool,
    /// Something was sent the last time.
    was_sent: bool,
}

impl<'a> Chain<'a> {
    /// A consumer's call, or nobody's where that is empty, that may be sent to these targets, in this order: each its
    /// provider's pool, and the provider's name for its model.
    pub fn new(
        targets: impl IntoIterator<Item = (&'a Pool, &'a str)>,
        fallback: &'a Fallback,
        budget: &'a Budget,
        consumer: &'a str,
        sequence: u32,
    ) -> Self {
        budget.pay_in();
        let targets = targets.into_iter().map(|(pool, model)| Target {
            pool,
            model,
            excluded: Excluded::default(),
            was_asked: false,
            limited: None,
        });
        Self {
            fallback,
            budget,
            targets: targets.collect(),
            consumer,
            sequence,
            attempts: 0,
            rounds: 0,
            current: 0,
            failed: None,
            begins_anew: false,
            knew_busy: false,
            has_affinity: false,
            began_as_last_resort: false,
        }
    }

    /// Begins with the credential and the endpoint of the first target that are always this consumer's, whatever is
    /// known of them.
    pub fn begin_by_affinity(&mut self) {
        self.has_affinity = true;
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
    pub fn failed(&mut self, pick: Pick, failure: Failure, retry_after: Option<Duration>) {
        let target = self.targets.get_mut(self.current);
        let has_culprit = target.is_some_and(|target| {
            if failure == Failure::Status(429) {
                target.limited = Some(pick);
            }
            target.excluded.note(pick, failure.blame())
        });
        let was_sent = failure != Failure::Unsupported;
        let latest = Failed {
            failure,
            retry_after,
            has_culprit,
            has_key: pick.credential.is_some(),
            was_sent,
        };
        // What was not sent tells nothing of whether a later round may help.
        self.failed = Some(match self.failed.filter(|_| !was_sent) {
            Some(earlier) => Failed {
                has_culprit,
                was_sent,
                ..earlier
            },
            None => latest,
        });
    }

    /// What to do next. `elapsed` is the time since the call's arrival; `now` is what pools go by.
    pub fn next(&mut self, now: Duration, unix_seconds: u64, elapsed: Duration) -> Step<'a> {
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
                target.excluded = Excluded::default();
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
        let is_retryable = self.is_retryable(failed);
        let next = self.current.saturating_add(1);
        if is_retryable && let Some(found) = self.choose_from(next, context) {
            return self.again(found, failed, true);
        }
        if failed.has_culprit
            && let Some(found) = self.choose_suspect_at(self.current, context)
        {
            return self.again(found, failed, true);
        }
        if !is_retryable {
            return Step::Stop(Stop::Exhausted);
        }
        let found = self
            .choose_suspect(context)
            .or_else(|| self.choose_limited(context));
        if let Some(found) = found {
            return self.again(found, failed, true);
        }
        // An endpoint that is ejected may have recovered, and nobody else is there. Where all are, calls take turns:
        // one attempt more for each of them would only add to the storm.
        if !self.began_as_last_resort
            && let Some(found) = self.choose_ejected(context)
        {
            return self.again(found, failed, true);
        }
        self.round_again(failed, context, elapsed)
    }

    /// The first attempt: never refused for want of time or budget, and if need be sent where things look bad.
    fn first(&mut self, context: CallContext<'a>, elapsed: Duration) -> Step<'a> {
        if self.targets.is_empty() {
            return Step::Stop(Stop::NoTarget);
        }
        let first = self.targets.first().filter(|_| self.has_affinity);
        if let Some(found) = first.and_then(|target| target.pool.choose_by_affinity(context)) {
            return self.go((0, found));
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
            self.began_as_last_resort = true;
            return self.go(found);
        }
        let cooling = self
            .targets
            .iter()
            .filter_map(|target| target.pool.key_in(context, &target.excluded))
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

    fn find(&self, choose: impl Fn(&Target<'a>) -> Option<Candidates<'a>>) -> Option<Found<'a>> {
        self.targets
            .iter()
            .enumerate()
            .find_map(|(place, target)| Some((place, choose(target)?)))
    }

    /// What one provider's dialect cannot say another's may, whatever the configuration names.
    fn is_retryable(&self, failed: Failed) -> bool {
        !failed.was_sent
            || self
                .fallback
                .on
                .iter()
                .any(|condition| failed.failure.meets(*condition))
    }

    /// The next key and endpoint in turn, for a second attempt as for a second call.
    fn context(&self, now: Duration, unix_seconds: u64) -> CallContext<'a> {
        CallContext {
            now,
            unix_seconds,
            sequence: self.sequence.wrapping_add(self.attempts),
            consumer: self.consumer,
        }
    }

    /// A further attempt, if the budget has one. `moves`: to where the call has not been yet, or for the first time to
    /// where it has been.
    fn again(&mut self, found: Found<'a>, failed: Failed, moves: bool) -> Step<'a> {
        let may = match failed.failure.blame() {
            // What one model refuses another may take: that is no storm, however many calls it happens to, and no
            // target is asked twice.
            Blame::Nobody => true,
            // Soon ejected, if that happens often.
            Blame::Endpoint | Blame::Key if moves => self.budget.draw_to_move(),
            Blame::Endpoint | Blame::Key => self.budget.draw(),
        };
        if may {
            self.go(found)
        } else {
            Step::Stop(Stop::Budget)
        }
    }

    fn go(&mut self, (target, candidates): Found<'a>) -> Step<'a> {
        self.attempts = self.attempts.saturating_add(1);
        self.current = target;
        if let Some(target) = self.targets.get_mut(target) {
            target.was_asked = true;
        }
        Step::Try { target, candidates }
    }
}

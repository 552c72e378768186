//! The loop of a call's attempts: the next target, its credential and endpoint, the attempt itself, what it means.
//!
//! ```text
//!   Chain: target and credential ──▶ LoadBalancer: endpoint ──▶ Dispatcher::attempt ──▶ served, or over
//!     ▲      │ wait: Dispatcher::wait                                 │ failed
//!     └──────┴─────── reported to the pool, and to the chain ◀────────┘
//! ```
//!
//! Who makes the attempts ([`Dispatcher`]) says what one comes to. After a failed one the next is made as long as the
//! [`Chain`] finds somewhere to go; one after which something has gone out, or whose client left, is the last. Whether a provider kept
//! something for the caller (files, stored responses) matters here alone: such a call begins by affinity.

use std::sync::Arc;
use std::time::Duration;

use spillway_config::Fallback;
use spillway_platform::Clock;

use crate::attempt::Picked;
use crate::{
    Attempt, AttemptError, AttemptLog, AttemptOutcome, Budget, Chain, Failure, Pool, PoolWatch,
    Step, Stop,
};

/// Whoever was silent for so long is at fault, however little time was left.
const FAIR_TIME: Duration = Duration::from_secs(20);

/// One of a call's targets.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a, T> {
    /// The target itself, for whoever makes the attempts.
    pub target: T,
    /// The provider's pool.
    pub pool: &'a Arc<Pool>,
    /// The provider's name for the model.
    pub model: &'a str,
    /// The model's name in metrics.
    pub model_label: &'a str,
}

/// What the loop goes by.
#[derive(Debug)]
pub struct Attempts<'a, C, W, T> {
    /// What time it is.
    pub clock: &'a C,
    /// Who is told of endpoints and keys that are ejected.
    pub watch: &'a W,
    /// How much may be tried again.
    pub budget: &'a Budget,
    /// When the next target is tried, and how often.
    pub fallback: &'a Fallback,
    /// The targets in the order in which they are tried.
    pub targets: Vec<Target<'a, T>>,
    /// Whose call it is; empty: nobody's.
    pub consumer: &'a str,
    /// When the call arrived, by `clock`.
    pub arrived: Duration,
    /// The call's number: the next call's is one higher.
    pub sequence: u32,
    /// It begins with the credential and the endpoint that are always this consumer's.
    pub has_affinity: bool,
    /// Where each attempt is written down.
    pub log: &'a AttemptLog,
}

/// Makes a call's attempts.
pub trait Dispatcher {
    /// A target.
    type Target: Copy;
    /// What the call comes to.
    type Answer;
    /// What a client gets for a failed attempt.
    type Reply;

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// What the call comes to where it is over meanwhile.
    fn wait(&mut self, time: Duration) -> impl Future<Output = Result<(), Self::Answer>>;

    /// Makes an attempt.
    fn attempt(
        &mut self,
        attempt: &mut Attempt<'_, Self::Target>,
    ) -> impl Future<Output = Ended<Self::Answer, Self::Reply>>;
}

/// What an attempt came to.
#[derive(Debug)]
pub enum Ended<A, R> {
    /// It served.
    Served(A),
    /// It failed before anything of an answer had gone out.
    Failed(AttemptError<R>),
    /// It failed after some of its answer had gone out: nobody else can serve the call any more.
    Broken(A, Failure),
    /// The call is over, which tells nothing of the provider: the client left.
    Over(A),
}

/// What a call came to.
#[derive(Debug)]
pub struct Attempted<A, R, T> {
    /// Its answer, or the last failure and why nothing more was tried.
    pub end: Result<A, GaveUp<R>>,
    /// The target that was asked last.
    pub target: Option<T>,
}

/// Nobody served.
#[derive(Debug)]
pub struct GaveUp<R> {
    /// Why nothing more was tried.
    pub stop: Stop,
    /// How the last attempt failed; `None`: there was none.
    pub last: Option<AttemptError<R>>,
}

impl<C: Clock, W: PoolWatch, T: Copy> Attempts<'_, C, W, T> {
    /// Makes attempts until one serves, or nothing more is to be tried.
    pub async fn run<K: Dispatcher<Target = T>>(
        &self,
        caller: &mut K,
    ) -> Attempted<K::Answer, K::Reply, T> {
        let mut chain = Chain::new(
            self.targets
                .iter()
                .map(|target| (&**target.pool, target.model)),
            self.fallback,
            self.budget,
            self.consumer,
            self.sequence,
        );
        if self.has_affinity {
            chain.begin_by_affinity();
        }
        let (mut last, mut asked, mut answered_by) = (None, None, None);
        loop {
            let elapsed = self.clock.now().saturating_sub(self.arrived);
            let seconds = self.clock.since_1970().as_secs();
            let (place, candidates) = match chain.next(self.clock.now(), seconds, elapsed) {
                Step::Try { target, candidates } => (target, candidates),
                Step::Wait(time) => match caller.wait(time).await {
                    Ok(()) => continue,
                    Err(answer) => return Attempted::answered(answer, asked),
                },
                Step::Stop(stop) => return Attempted::gave_up(stop, last, answered_by),
            };
            let Some(target) = self.targets.get(place) else {
                return Attempted::gave_up(Stop::Exhausted, last, answered_by);
            };
            let Some(pick) = target.pool.pick(candidates).await else {
                return Attempted::gave_up(Stop::Exhausted, last, answered_by);
            };
            asked = Some(target.target);
            let picked = Picked {
                pool: target.pool,
                pick,
                model: target.model_label,
                consumer: self.consumer,
                log: self.log,
            };
            let now = self.clock.now();
            let Some(mut attempt) = Attempt::begin(&picked, target.target, now) else {
                return Attempted::gave_up(Stop::Exhausted, last, answered_by);
            };
            attempt.is_first_choice = place == 0 && chain.attempts() == 1;
            attempt.targets_left = chain.targets_left();
            let time_left = self.fallback.deadline.duration().saturating_sub(elapsed);
            attempt.time_left = time_left.max(Duration::from_millis(1));
            let ended = caller.attempt(&mut attempt).await;
            let (failure, detail) = match &ended {
                Ended::Served(_) | Ended::Over(_) => (None, None),
                Ended::Broken(_, failure) => (Some(*failure), None),
                Ended::Failed(error) => (Some(error.failure), error.detail.clone()),
            };
            self.log.end(self.clock.now(), failure, detail);
            match ended {
                Ended::Served(answer) => {
                    self.report(&mut attempt, AttemptOutcome::Served);
                    return Attempted::answered(answer, asked);
                }
                Ended::Broken(answer, failure) => {
                    self.report(&mut attempt, AttemptOutcome::Failed(failure, None));
                    return Attempted::answered(answer, asked);
                }
                Ended::Over(answer) => {
                    self.report(&mut attempt, AttemptOutcome::Unknown);
                    return Attempted::answered(answer, asked);
                }
                Ended::Failed(error) => {
                    let outcome = self.outcome_of(&attempt, &error);
                    self.report(&mut attempt, outcome);
                    chain.failed(attempt.pick(), error.failure, error.retry_after);
                    // One that was not sent takes nothing from what the client is to know of those that were.
                    if error.failure != Failure::Unsupported || last.is_none() {
                        (last, answered_by) = (Some(error), asked);
                    }
                }
            }
        }
    }

    /// One that the call's own deadline cut short says nothing of the endpoint.
    fn outcome_of<R>(&self, attempt: &Attempt<'_, T>, error: &AttemptError<R>) -> AttemptOutcome {
        let took = self.clock.now().saturating_sub(attempt.began);
        if took >= attempt.time_left && took < FAIR_TIME {
            AttemptOutcome::Unknown
        } else {
            AttemptOutcome::Failed(error.failure, error.retry_after)
        }
    }

    fn report(&self, attempt: &mut Attempt<'_, T>, outcome: AttemptOutcome) {
        let pool = attempt.pool();
        for transition in attempt.report(self.clock.now(), outcome) {
            self.watch.changed(pool, transition);
        }
        if matches!(outcome, AttemptOutcome::Failed(..)) {
            self.watch.suspects(pool);
        }
    }
}

impl<A, R, T> Attempted<A, R, T> {
    fn answered(answer: A, target: Option<T>) -> Self {
        Self {
            end: Ok(answer),
            target,
        }
    }

    fn gave_up(stop: Stop, last: Option<AttemptError<R>>, target: Option<T>) -> Self {
        Self {
            end: Err(GaveUp { stop, last }),
            target,
        }
    }
}

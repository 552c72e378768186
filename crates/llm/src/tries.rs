//! What one call has tried, and what it tries next.

use std::sync::Arc;
use std::time::Duration;

use spillway_config::Fallback;
use spillway_platform::{Clock, Sender, Upstream};
use spillway_telemetry::Reason;
use spillway_upstream::{Chain, Failure, Outcome, Pool, Step, Stop, Transition, Way, target_order};

use crate::attempt_failure::AttemptFailure;
use crate::{Attempt, Call, CallAnswer, Served, TargetPlace};

/// Whoever was silent for so long is at fault, however little time was left.
const FAIR_TIME: Duration = Duration::from_secs(20);

/// Is told when a provider's endpoint or key is set aside, or used again.
pub trait PoolWatch {
    /// Something has changed that other instances should know of.
    fn changed(&self, pool: &Arc<Pool>, transition: Transition);

    /// A key or an endpoint may be at fault, and a probe would tell.
    fn suspects(&self, pool: &Arc<Pool>);
}

/// What has been tried so far.
pub(crate) struct Tries<'c, 'a, S, C, W> {
    call: &'c Call<'a, S, C, W>,
    chain: Chain<'c>,
    last: Option<(&'c TargetPlace, AttemptFailure)>,
    stop: Option<Stop>,
    first_target: Option<usize>,
    pub attempts: Vec<Attempt>,
}

/// An attempt that is about to be made.
#[derive(Clone, Copy)]
pub(crate) struct Attempting<'c> {
    pub place: &'c TargetPlace,
    pub upstream: &'c Upstream,
    way: Way,
    began: Duration,
    /// Until the call's deadline.
    time_left: Duration,
    /// How many targets there are to go, this one among them.
    targets_left: u32,
    /// The provider is not asked for the usage of a stream.
    is_without_usage: bool,
}

pub(crate) enum Next<'c> {
    Try(Attempting<'c>),
    Wait(Duration),
    Stop,
}

impl<'c> Attempting<'c> {
    /// How long the target may take: until an answer is complete, or a stream's first content.
    pub fn limit(&self, is_stream: bool) -> Duration {
        let timeout = if is_stream {
            self.place.first_token_timeout
        } else {
            self.place.timeout
        };
        timeout.within(self.time_left, self.targets_left)
    }

    /// The same without asking for the usage of the stream.
    pub fn without_usage(self) -> Self {
        Self {
            is_without_usage: true,
            ..self
        }
    }

    /// Whether a stream is asked for its usage.
    pub fn asks_usage(&self) -> bool {
        !self.is_without_usage
    }

    /// The secret to send.
    pub fn secret(&self) -> Option<&'c str> {
        self.place.pool.key(self.way).map(|key| key.secret.as_str())
    }
}

impl<'c, 'a, S: Sender, C: Clock, W: PoolWatch> Tries<'c, 'a, S, C, W> {
    pub fn new(call: &'c Call<'a, S, C, W>) -> Self {
        Self::with(call, &call.route.fallback)
    }

    /// With another fallback than the route's.
    pub fn with(call: &'c Call<'a, S, C, W>, fallback: &'c Fallback) -> Self {
        let targets = &call.route.targets;
        let weights: Vec<Option<u32>> = targets.iter().map(|target| target.weight).collect();
        let mut order = target_order(&weights, call.number);
        if call.skips_first {
            // The route's first is what the limit protects, whichever was drawn to be the call's.
            order.retain(|index| *index != 0);
        }
        order.retain(|index| {
            targets
                .get(*index)
                .is_some_and(|place| call.may_answer(place))
        });
        let first_target = order.first().copied();
        let pools = order.into_iter().filter_map(|index| {
            let place = targets.get(index)?;
            let model = place.model_for(call.asked_model());
            Some((index, &*place.pool, model))
        });
        let chain = Chain::new(pools, fallback, call.budget, call.consumer, call.number);
        Self {
            call,
            chain,
            last: None,
            stop: None,
            first_target,
            attempts: Vec::new(),
        }
    }

    /// Begins on the way that is always this consumer's.
    pub fn prefer_by_affinity(&mut self) {
        let call = self.call;
        let way = self.first_place().and_then(|place| {
            let (now, seconds) = (call.clock.now(), call.clock.since_1970().as_secs());
            place.pool.choose_by_affinity(now, seconds, call.consumer)
        });
        if let Some(way) = way {
            self.chain.prefer(way);
        }
    }

    /// The target that the call begins with.
    pub fn first_place(&self) -> Option<&'c TargetPlace> {
        self.call.route.targets.get(self.first_target?)
    }

    pub fn next(&mut self) -> Next<'c> {
        let call = self.call;
        let elapsed = call.elapsed();
        let unix_seconds = call.clock.since_1970().as_secs();
        let step = self.chain.next(call.clock.now(), unix_seconds, elapsed);
        match step {
            Step::Wait(time) => Next::Wait(time),
            Step::Stop(stop) => {
                self.stop = Some(stop);
                Next::Stop
            }
            Step::Try { target, way } => {
                let place = call.route.targets.get(target);
                let upstream = place.and_then(|place| place.pool.upstream(way));
                let (Some(place), Some(upstream)) = (place, upstream) else {
                    return Next::Stop;
                };
                Next::Try(Attempting {
                    place,
                    upstream,
                    way,
                    began: call.clock.now(),
                    targets_left: self.chain.targets_left(),
                    is_without_usage: !place.settings.takes_stream_options(),
                    time_left: call
                        .route
                        .fallback
                        .deadline
                        .duration()
                        .saturating_sub(elapsed)
                        .max(Duration::from_millis(1)),
                })
            }
        }
    }

    /// Notes that an attempt has served.
    pub fn served(&mut self, attempting: &Attempting<'c>) {
        self.record(attempting, None, None);
        self.report(attempting, Outcome::Served);
    }

    /// Notes that the client left during an attempt.
    pub fn left(&mut self, attempting: &Attempting<'c>) {
        self.record(attempting, None, None);
        self.report(attempting, Outcome::Unknown);
    }

    /// Notes that an attempt is made once more on the same way, without what the provider refused.
    pub fn repeats(&mut self, attempting: &Attempting<'c>, failed: &AttemptFailure) {
        let why = "it refuses `stream_options`: sent once more without. `stream_options: false` at the provider spares the first attempt";
        self.record(attempting, Some(failed.failure), Some(why.to_owned()));
    }

    /// Notes that an attempt broke off after content had gone out.
    pub fn broke(&mut self, attempting: &Attempting<'c>, failure: Failure) {
        self.record(attempting, Some(failure), None);
        self.report(attempting, Outcome::Failed(failure, None));
    }

    /// Notes that an attempt has failed before any content.
    pub fn failed(&mut self, attempting: &Attempting<'c>, failed: AttemptFailure) {
        let failure = failed.failure;
        self.record(attempting, Some(failure), failed.detail.clone());
        let place = attempting.place;
        // One that the call's own deadline cut short says nothing of the endpoint.
        let took = self.call.clock.now().saturating_sub(attempting.began);
        let was_cut = took >= attempting.time_left && took < FAIR_TIME;
        let outcome = if was_cut {
            Outcome::Unknown
        } else {
            Outcome::Failed(failure, failed.retry_after)
        };
        self.report(attempting, outcome);
        self.chain
            .failed(attempting.way, failure, failed.retry_after);
        self.last = Some((place, failed));
    }

    fn report(&self, attempting: &Attempting<'c>, outcome: Outcome) {
        let (pool, now) = (&attempting.place.pool, self.call.clock.now());
        let sent = attempting.began;
        for transition in pool.report_sent(now, sent, self.call.consumer, attempting.way, outcome) {
            self.call.watch.changed(pool, transition);
        }
        if matches!(outcome, Outcome::Failed(..)) {
            self.call.watch.suspects(pool);
        }
    }

    fn record(
        &mut self,
        attempting: &Attempting<'c>,
        failure: Option<Failure>,
        detail: Option<String>,
    ) {
        let Attempting {
            place,
            upstream,
            way,
            began,
            ..
        } = *attempting;
        let took = self.call.clock.now().saturating_sub(began);
        self.attempts.push(Attempt {
            provider: place.provider().to_owned(),
            model: place.model_label(self.call.asked_model()).to_owned(),
            endpoint: upstream.origin(),
            key: place.pool.key(way).map(|key| key.digest.clone()),
            failure,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            detail,
        });
    }

    /// Why the call is served as it is: by its first choice at once, or not.
    pub fn served_reason(&self, place: &TargetPlace) -> Reason {
        let is_first_choice = self
            .first_place()
            .is_some_and(|first| std::ptr::eq(first, place));
        if self.chain.attempts() > 1 || self.call.skips_first || !is_first_choice {
            Reason::Fallback
        } else {
            Reason::Ok
        }
    }

    pub fn last_served(&self) -> Option<Served> {
        let (place, _) = self.last.as_ref()?;
        Some(self.call.served(place))
    }

    /// The answer when nobody served, and why nothing more was tried.
    pub fn give_up(self) -> (CallAnswer, Vec<Attempt>, Option<Stop>) {
        let trail: Vec<String> = self
            .attempts
            .iter()
            .filter_map(|attempt| {
                let failure = attempt.failure?;
                Some(format!("{}: {}", attempt.provider, failure.label()))
            })
            .collect();
        let answer = match self.last {
            Some((place, failed)) => failed.into_answer(&trail.join(", "), &place.pool),
            None => {
                let mut providers: Vec<&str> = self
                    .call
                    .route
                    .targets
                    .iter()
                    .map(TargetPlace::provider)
                    .collect();
                providers.dedup();
                CallAnswer::not_sent(self.stop, &providers.join(", "))
            }
        };
        (answer, self.attempts, self.stop)
    }
}

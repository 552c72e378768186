//! Request limits: the rules of all APIs, and the store that counts for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{Either, select};
use spillway_config::{Gateway, OnError, RateLimit};
use spillway_limit::{Applicable, DifyApp, DigestKey, RequestFacts, Rules, Verdict};
use spillway_platform::{Clock, Headers};
use spillway_platform_spin::{self as spin, Redis, RedisError, SpinClock};
use spillway_state::{
    Breaker, Counted, Distance, Hold, LIMIT_KEY_PREFIX, LeaseName, Take, Taken, Transition,
};
use spillway_telemetry::{Counters, Reason};

use crate::digest_secret::digest_secret;
use crate::limit_store::{
    Failure, forget_in_key_value, forget_in_redis, take_from_key_value, take_from_redis,
};
use crate::{Lease, Meter};

/// How long a probe may take in all.
const PROBE: Duration = Duration::from_millis(800);

/// How long a probe waits for an answer: longer than a request, so that a distance shows.
const PROBE_TIMEOUT: Duration = Duration::from_millis(400);

/// How often a probe asks, so that one held-up answer does not pass for a distance.
const PROBES: u32 = 3;

/// A late answer is logged no more often.
const LATE_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// What the limits say of a request.
#[derive(Debug)]
pub enum Admission {
    /// It may go on.
    Passed(Passage),
    /// It may not.
    Refused(Refusal),
}

/// What a request that passed carries on.
#[derive(Debug, Default)]
pub struct Passage {
    /// Header fields for its answer.
    pub headers: Vec<(&'static str, String)>,
    /// Its places among those that are under way, to be kept until its answer has ended.
    pub lease: Option<Lease>,
    /// Where it was counted by its key, and by what came with that: for [`Limits::forget`].
    pub forgettable: Vec<Counted>,
}

/// A refused request's answer, but for the surface's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// Why.
    pub reason: Reason,
    /// For the surface's own form.
    pub message: String,
    /// The operator's own words, to be sent as they are instead.
    pub rejected_msg: Option<String>,
    /// Header fields.
    pub headers: Vec<(&'static str, String)>,
}

/// The rules of every API, by the API's name.
#[derive(Debug)]
pub struct Limits {
    by_api: BTreeMap<String, Rules>,
    digest: DigestKey,
    store: Store,
    breaker: Mutex<Breaker>,
    /// How long a request waits for Redis, see [`Redis::new`].
    timeout: Duration,
    /// When an answer was last logged as late.
    late_logged: Mutex<Option<Duration>>,
}

#[derive(Debug)]
enum Store {
    /// Shared with the leases that are kept there.
    Redis(Arc<Redis>),
    KeyValue,
}

impl Limits {
    /// Prepares the rules of these APIs; `kind` keeps APIs of one name but of different kinds apart.
    ///
    /// # Errors
    /// A rule that cannot be used; the text says which.
    pub fn new<'g>(
        gateway: &Gateway,
        kind: &str,
        apis: impl IntoIterator<Item = (&'g str, &'g [RateLimit])>,
    ) -> Result<Self, String> {
        let digest = DigestKey::new(digest_secret(gateway).as_bytes());
        let mut by_api = BTreeMap::new();
        for (name, rate_limits) in apis {
            let rules = Rules::new(
                rate_limits,
                &format!("{kind}/{name}"),
                &gateway.state,
                &digest,
            )
            .map_err(|error| format!("{kind} API `{name}`: {error}"))?;
            if !rules.is_empty() {
                by_api.insert(name.to_owned(), rules);
            }
        }
        let store = if gateway.state.redis.is_empty() {
            Store::KeyValue
        } else {
            Store::Redis(Arc::new(Redis::new(
                gateway.state.redis.clone(),
                gateway.state.timeout.duration(),
            )))
        };
        Ok(Self {
            by_api,
            digest,
            store,
            breaker: Mutex::default(),
            timeout: gateway.state.timeout.duration(),
            late_logged: Mutex::default(),
        })
    }

    /// The Redis that requests are counted in, for whatever else shares it.
    pub fn redis(&self) -> Option<Arc<Redis>> {
        match &self.store {
            Store::Redis(redis) => Some(Arc::clone(redis)),
            Store::KeyValue => None,
        }
    }

    /// Whether some rule lets no request pass that it cannot count.
    pub fn deny_on_error(&self) -> bool {
        self.by_api.values().any(Rules::deny_on_error)
    }

    /// Counts under a key of its own, as a request does: what no longer can be written, or run, shows here. Tells how
    /// far away the store is; over a connection of its own, which waits longer than requests do.
    ///
    /// # Errors
    /// What the store says, in an operator's words.
    pub async fn probe(&self, address: &str) -> Result<Distance, String> {
        let take = Take {
            key: format!("{LIMIT_KEY_PREFIX}probe"),
            limit: u32::MAX,
            window_ms: 1000,
            dry_run: false,
            cost_when_new: 0,
        };
        match &self.store {
            Store::Redis(_) => {
                let redis = Redis::new(address.to_owned(), PROBE_TIMEOUT);
                let asking = std::pin::pin!(async {
                    for _ in 0..PROBES {
                        let takes = std::slice::from_ref(&take);
                        take_from_redis(&redis, takes, &[], &LeaseName(String::new()), None)
                            .await?;
                    }
                    Ok::<_, Failure>(redis.distance().unwrap_or_default())
                });
                match select(asking, std::pin::pin!(SpinClock.sleep(PROBE))).await {
                    Either::Left((Ok(distance), _)) => Ok(Distance::of(distance, self.timeout)),
                    Either::Left((Err(failure), _)) => Err(failure.message),
                    Either::Right(_) => redis
                        .distance()
                        .map(|distance| Distance::of(distance, self.timeout))
                        .ok_or_else(|| RedisError::Timeout.to_string()),
                }
            }
            Store::KeyValue => {
                let taken = take_from_key_value(&[take], None);
                taken.map_err(|failure| failure.message)?;
                Ok(Distance::Near)
            }
        }
    }

    /// Whether an API has rules at all: most have none, and their requests need no facts gathered.
    pub fn has_rules(&self, api: &str) -> bool {
        self.by_api.contains_key(api)
    }

    /// Whether an API has rules by end user, so that bodies have to be read.
    pub fn counts_by_end_user(&self, api: &str) -> bool {
        self.by_api.get(api).is_some_and(Rules::count_by_end_user)
    }

    /// The Dify app whose key a request carries.
    pub fn dify_app(&self, headers: &Headers) -> Option<DifyApp> {
        self.digest.dify_app(headers)
    }

    /// Counts a request under all rules that hold for it, in one step.
    pub async fn admit(
        &'static self,
        api: &str,
        facts: &RequestFacts<'_>,
        meter: &'static Meter,
    ) -> Admission {
        let Some(rules) = self.by_api.get(api) else {
            return Admission::Passed(Passage::default());
        };
        let applicable = rules.applicable(facts);
        if applicable.is_empty() {
            return Admission::Passed(Passage::default());
        }
        // A name is only needed where places are kept.
        let name = LeaseName(if applicable.holds().is_empty() {
            String::new()
        } else {
            format!("{:032x}", spin::random_name())
        });
        match self.take(&applicable, &name, meter).await {
            Some(taken) => {
                if taken.too_many_new {
                    return too_many_new_values(meter);
                }
                let lease = self.lease(&applicable, &taken, name);
                let forgettable = applicable.forgettable(&taken);
                judged(&applicable.verdict(&taken), lease, forgettable, meter)
            }
            None => without_state(&applicable, meter),
        }
    }

    /// Takes back, off the request's path, what a call was counted in whose key the upstream does not know: such keys
    /// can be made up in any number, and would each be kept for as long as a window.
    pub fn forget(&self, forgettable: Vec<Counted>) {
        if forgettable.is_empty() {
            return;
        }
        match &self.store {
            Store::Redis(redis) => {
                let redis = Arc::clone(redis);
                spin::spawn(async move { forget_in_redis(&redis, &forgettable).await });
            }
            Store::KeyValue => forget_in_key_value(&forgettable),
        }
    }

    /// Keeps the places that were taken, if there are some.
    fn lease(&self, applicable: &Applicable<'_>, taken: &Taken, name: LeaseName) -> Option<Lease> {
        let Store::Redis(redis) = &self.store else {
            return None;
        };
        let held = applicable.holds().iter().zip(&taken.holds);
        let held: Vec<Hold> = held
            .filter(|(_, count)| taken.passes && !count.full)
            .map(|(hold, _)| hold.clone())
            .collect();
        (!held.is_empty()).then(|| Lease::keep(Arc::clone(redis), held, name))
    }

    /// `None`: the store did not answer, or is being left alone.
    async fn take(
        &self,
        applicable: &Applicable<'_>,
        lease: &LeaseName,
        meter: &'static Meter,
    ) -> Option<Taken> {
        let allowed = self
            .breaker
            .lock()
            .is_ok_and(|mut breaker| breaker.allows(SpinClock.now()));
        if !allowed {
            return None;
        }
        let result: Result<Taken, Failure> = match &self.store {
            Store::Redis(redis) => {
                let (holds, new_values) = (applicable.holds(), applicable.new_values());
                let taken =
                    take_from_redis(redis, applicable.takes(), holds, lease, new_values).await;
                if taken.is_err() && !holds.is_empty() {
                    Lease::give_back(Arc::clone(redis), holds.to_vec(), lease.clone());
                }
                taken
            }
            // `check` refuses limits on what is under way without a Redis.
            Store::KeyValue => take_from_key_value(applicable.takes(), applicable.new_values()),
        };
        let transition = self
            .breaker
            .lock()
            .ok()
            .and_then(|mut breaker| match &result {
                Err(failure) if !failure.is_late => breaker.failed(SpinClock.now()),
                // A store that answers late is not gone.
                _ => breaker.succeeded(),
            });
        match (&result, transition) {
            (Err(failure), Some(Transition::Opened)) => {
                spin::log(&format!(
                    "limits: the store does not answer and is left alone for now: {}",
                    failure.message
                ));
            }
            (Err(failure), _) if failure.is_late => {
                meter.count(Counters::state_late);
                self.log_late(&failure.message);
            }
            (Err(failure), _) => spin::log(&format!("limits: {}", failure.message)),
            (Ok(_), Some(_)) => spin::log("limits: the store answers again"),
            (Ok(_), None) => {}
        }
        if let Some(transition) = transition {
            meter.count(|counters| counters.state_transition(transition.as_str()));
        }
        result.ok()
    }

    /// Once in a while, as it may be every request's lot.
    fn log_late(&self, message: &str) {
        let now = SpinClock.now();
        let Ok(mut logged) = self.late_logged.lock() else {
            return;
        };
        if logged.is_none_or(|logged| now.saturating_sub(logged) >= LATE_LOGGED_EVERY) {
            *logged = Some(now);
            spin::log(&format!(
                "limits: {message}: a request was decided without its verdict, as on_error says. /_gateway/health/ready tells the distance"
            ));
        }
    }
}

fn judged(
    verdict: &Verdict<'_>,
    lease: Option<Lease>,
    forgettable: Vec<Counted>,
    meter: &'static Meter,
) -> Admission {
    meter.count(|counters| {
        for (rule, outcome) in &verdict.outcomes {
            counters.rate_limit(rule, outcome.as_str());
        }
    });
    let headers = verdict.headers();
    match &verdict.standing {
        Some(standing) if !verdict.passes => Admission::Refused(Refusal {
            status: standing.rule.rejected_code,
            reason: Reason::RateLimited,
            message: standing.message(),
            rejected_msg: standing.rule.rejected_msg.clone(),
            headers,
        }),
        _ => Admission::Passed(Passage {
            headers,
            lease,
            forgettable,
        }),
    }
}

/// One client invents values faster than it may.
fn too_many_new_values(meter: &'static Meter) -> Admission {
    meter.count(|counters| counters.rate_limit("", "too_many_new_values"));
    Admission::Refused(Refusal {
        status: 429,
        reason: Reason::TooManyNewValues,
        message: "Too many keys, users or other values in one second that have not been seen from anybody lately. Try again in a second.".to_owned(),
        rejected_msg: None,
        headers: vec![("retry-after", "1".to_owned())],
    })
}

fn without_state(applicable: &Applicable<'_>, meter: &'static Meter) -> Admission {
    let denied = applicable.when_state_fails() == OnError::Deny;
    let verdict = if denied {
        "state_failed_denied"
    } else {
        "state_failed_allowed"
    };
    meter.count(|counters| counters.rate_limit("", verdict));
    if !denied {
        return Admission::Passed(Passage::default());
    }
    Admission::Refused(Refusal {
        status: 503,
        reason: Reason::StateUnavailable,
        message: "The gateway cannot count requests right now and lets none pass that it could not count. Try again in a moment.".to_owned(),
        rejected_msg: None,
        headers: vec![("retry-after", "1".to_owned())],
    })
}

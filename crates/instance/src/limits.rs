//! Request limits: the rules of all APIs, and the store that counts for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use spillway_config::{Credential, Gateway, KnowledgeBackend, OnError, RateLimit};
use spillway_limit::{Applicable, DifyApp, DigestKey, RequestFacts, Rules, Verdict};
use spillway_platform::spin::{
    self, KeyValue, KeyValueError, Parameter, Redis, RedisError, Reply, SpinClock,
};
use spillway_platform::{Clock, Headers};
use spillway_store::{
    Breaker, Hold, Increment, LIMIT_KEY_PREFIX, LIMIT_TAKE_V2, LIMIT_TAKE_V2_SHA1, LeaseName, Take,
    Taken, Transition, explain_redis_error, limit_take_arguments, read_limit_take,
    take_from_numbers,
};
use spillway_telemetry::Reason;

use crate::{Lease, Meter};

/// The longest a request waits for its limits. Redis answers within a millisecond or is not well.
const REDIS_TIMEOUT: Duration = Duration::from_millis(100);

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
                gateway.state.on_error,
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
                REDIS_TIMEOUT,
            )))
        };
        Ok(Self {
            by_api,
            digest,
            store,
            breaker: Mutex::default(),
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

    /// Counts under a key of its own, as a request does: what no longer can be written, or run, shows here.
    ///
    /// # Errors
    /// What the store says, in an operator's words.
    pub async fn probe(&self) -> Result<(), String> {
        let take = Take {
            key: format!("{LIMIT_KEY_PREFIX}probe"),
            limit: u32::MAX,
            window_ms: 1000,
            dry_run: false,
        };
        match &self.store {
            Store::Redis(redis) => {
                take_from_redis(redis, &[take], &[], &LeaseName(String::new())).await?;
            }
            Store::KeyValue => {
                take_from_numbers(&Numbers, milliseconds_since_1970, &[take])
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
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
                let lease = self.lease(&applicable, &taken, name);
                judged(&applicable.verdict(&taken), lease, meter)
            }
            None => without_state(&applicable, meter),
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
        let result = match &self.store {
            Store::Redis(redis) => {
                let holds = applicable.holds();
                let taken = take_from_redis(redis, applicable.takes(), holds, lease).await;
                if taken.is_err() && !holds.is_empty() {
                    Lease::give_back(Arc::clone(redis), holds.to_vec(), lease.clone());
                }
                taken
            }
            // `check` refuses limits on what is under way without a Redis.
            Store::KeyValue => {
                take_from_numbers(&Numbers, milliseconds_since_1970, applicable.takes())
                    .map_err(|error| error.to_string())
            }
        };
        let transition = self
            .breaker
            .lock()
            .ok()
            .and_then(|mut breaker| match &result {
                Ok(_) => breaker.succeeded(),
                Err(_) => breaker.failed(SpinClock.now()),
            });
        match (&result, transition) {
            (Err(message), Some(Transition::Opened)) => {
                spin::log(&format!(
                    "limits: the store does not answer and is left alone for now: {message}"
                ));
            }
            (Err(message), _) => spin::log(&format!("limits: {message}")),
            (Ok(_), Some(_)) => spin::log("limits: the store answers again"),
            (Ok(_), None) => {}
        }
        if let Some(transition) = transition {
            meter.count(|counters| counters.state_transition(transition.as_str()));
        }
        result.ok()
    }
}

fn judged(verdict: &Verdict<'_>, lease: Option<Lease>, meter: &'static Meter) -> Admission {
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
        _ => Admission::Passed(Passage { headers, lease }),
    }
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

/// One round trip; two when this Redis meets the script for the first time.
async fn take_from_redis(
    redis: &Redis,
    takes: &[Take],
    holds: &[Hold],
    lease: &LeaseName,
) -> Result<Taken, String> {
    let arguments = limit_take_arguments(takes, holds, lease, None);
    let parameters = |first: &str| -> Vec<Parameter> {
        std::iter::once(first)
            .chain(arguments.iter().map(String::as_str))
            .map(|text| Parameter::Bytes(text.as_bytes().to_vec()))
            .collect()
    };
    let explained = |error: RedisError| explain_redis_error(&error.to_string());
    let replies = match redis
        .execute("EVALSHA", parameters(LIMIT_TAKE_V2_SHA1))
        .await
    {
        Err(error) if error.is_unknown_script() => redis
            .execute("EVAL", parameters(LIMIT_TAKE_V2))
            .await
            .map_err(explained)?,
        other => other.map_err(explained)?,
    };
    let numbers: Vec<i64> = replies
        .iter()
        .filter_map(|reply| match reply {
            Reply::Number(number) => Some(*number),
            _ => None,
        })
        .collect();
    read_limit_take(&numbers, takes.len(), holds.len()).map_err(|error| error.to_string())
}

/// The key-value store as numbers by name.
struct Numbers;

impl Increment for Numbers {
    type Error = KeyValueError;

    fn increment(&self, key: &str, delta: i64) -> Result<i64, KeyValueError> {
        KeyValue.increment(key, delta)
    }

    fn get(&self, key: &str) -> Result<i64, KeyValueError> {
        KeyValue.number(key)
    }
}

fn milliseconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

/// What keys the digests of clients' values: the configuration's own secrets, so that it is the same on every
/// replica, needs no setting, and nobody else knows it.
fn digest_secret(gateway: &Gateway) -> String {
    let mut secret = gateway.state.redis.clone();
    for consumer in &gateway.consumers {
        for credential in &consumer.credentials {
            secret.push('\n');
            secret.push_str(match credential {
                Credential::ApiKey(key) => key,
                Credential::Hmac(pair) => &pair.secret_key,
            });
        }
    }
    for provider in &gateway.providers {
        for key in &provider.api_keys {
            secret.push('\n');
            secret.push_str(&key.key);
        }
    }
    for api in &gateway.knowledge {
        let engine = match &api.backend {
            KnowledgeBackend::Ragflow(engine) => &engine.api_key,
            KnowledgeBackend::DifyCompatible(engine) => &engine.api_key,
        };
        for key in api.api_keys.iter().chain([engine]) {
            secret.push('\n');
            secret.push_str(key);
        }
    }
    secret
}

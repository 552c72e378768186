//! What is known of providers' endpoints and keys, shared with all other instances where there is a Redis.
//!
//! A pool is read at most once a second, in the background but for the first time; it is written when something
//! changes, and no request waits for that. Without a Redis every instance finds out by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_platform::Clock;
use spillway_platform_spin::{self as spin, Parameter, Redis, RedisError, Reply, SpinClock};
use spillway_state::{
    Breaker, POOL_READ_V2, POOL_WRITE_V2, Transition as BreakerTransition, explain_redis_error,
    pool_read_arguments, pool_write_arguments, probe_claim_arguments, read_pool,
};
use spillway_upstream::{Pool, SharedEntry, SharedState, Subject, Transition};

use crate::Meter;

/// How old what is known may be.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// What is known of providers' endpoints and keys.
#[derive(Debug)]
pub struct PoolStates {
    redis: Option<Arc<Redis>>,
    /// When each provider's pool was last read, or began to be.
    read_at: Mutex<BTreeMap<String, Duration>>,
    /// Leaves a Redis alone that does not answer.
    breaker: Mutex<Breaker>,
}

impl PoolStates {
    /// Shared through this Redis; not shared where there is none.
    pub fn new(redis: Option<Arc<Redis>>) -> Self {
        Self {
            redis,
            read_at: Mutex::default(),
            breaker: Mutex::default(),
        }
    }

    /// Sees to it that what is known of a pool is no older than a second, or will not be in a moment.
    pub async fn refresh(&'static self, pool: &'static Pool) {
        let Some(redis) = &self.redis else {
            return;
        };
        let now = SpinClock.now();
        let last = {
            let Ok(mut read_at) = self.read_at.lock() else {
                return;
            };
            let last = read_at.get(pool.provider()).copied();
            if last.is_some_and(|last| now.saturating_sub(last) < FRESH_FOR) {
                return;
            }
            read_at.insert(pool.provider().to_owned(), now);
            last
        };
        if last.is_none() {
            self.read(redis, pool, Redis::execute).await;
        } else {
            spin::spawn(self.read(redis, pool, Redis::execute_patiently));
        }
    }

    async fn read(
        &'static self,
        redis: &'static Redis,
        pool: &'static Pool,
        execute: impl AsyncFnOnce(&Redis, &str, Vec<Parameter>) -> Result<Vec<Reply>, RedisError>,
    ) {
        let began = SpinClock.now();
        let arguments = pool_read_arguments(pool.provider(), None);
        let read = self.evaluate(redis, POOL_READ_V2, arguments, execute);
        let Some(replies) = read.await else {
            return;
        };
        let texts: Vec<String> = replies
            .into_iter()
            .filter_map(|reply| match reply {
                Reply::Bytes(bytes) => String::from_utf8(bytes).ok(),
                Reply::Status(text) => Some(text),
                Reply::Nil | Reply::Number(_) => None,
            })
            .collect();
        let entries: Vec<SharedEntry> = read_pool(&texts)
            .into_iter()
            .filter_map(|entry| {
                Some(SharedEntry {
                    subject: Subject::of_field(&entry.name)?,
                    state: SharedState::of_str(&entry.state)?,
                    age: Duration::from_millis(entry.age_ms),
                    rest: Duration::from_millis(entry.rest_ms),
                })
            })
            .collect();
        pool.merge(SpinClock.now(), began, &entries);
    }

    /// Counts, logs and tells the other instances what has changed.
    pub fn publish(&'static self, pool: Arc<Pool>, transition: Transition, meter: &'static Meter) {
        if transition.to.is_none_or(|(state, _)| state.is_setback()) {
            self.tell(&transition, meter);
        } else if transition
            .to
            .is_some_and(|(state, _)| state == SharedState::Vouched)
        {
            spin::log(&format!(
                "provider {}: {} serves, though the provider answers 401 to its list of models: for a day that list is not believed",
                transition.provider, transition.subject.thing
            ));
        }
        self.share(pool, transition);
    }

    fn tell(&'static self, transition: &Transition, meter: &'static Meter) {
        meter.count(|counters| {
            counters.provider_transition(
                &transition.provider,
                transition.subject.kind(),
                transition.to_str(),
            );
        });
        let time = transition.to.map_or_else(String::new, |(_, time)| {
            format!(" for {} s", time.as_secs())
        });
        spin::log(&format!(
            "provider {}: {} is {}{time}{}",
            transition.provider,
            transition.subject.thing,
            transition.to_str(),
            transition.subject.whom()
        ));
    }

    fn share(&'static self, pool: Arc<Pool>, transition: Transition) {
        let Some(redis) = &self.redis else {
            return;
        };
        spin::spawn(async move {
            let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let to = transition
                .to
                .map(|(state, time)| (state.as_str(), milliseconds(time)));
            let arguments =
                pool_write_arguments(pool.provider(), &transition.subject.field(), to, None);
            if self
                .evaluate(redis, POOL_WRITE_V2, arguments, Redis::execute_patiently)
                .await
                .is_some()
            {
                pool.shared(SpinClock.now(), &transition.subject);
            }
        });
    }

    /// Whether this instance is the one that probes a key now.
    pub async fn claims_probe(&self, pool: &Pool, digest: &str) -> bool {
        let Some(redis) = &self.redis else {
            return true;
        };
        let parameters = text_parameters(probe_claim_arguments(pool.provider(), digest));
        redis
            .execute("SET", parameters)
            .await
            .is_ok_and(|replies| matches!(replies.first(), Some(Reply::Status(_))))
    }

    async fn evaluate(
        &self,
        redis: &Redis,
        script: &str,
        arguments: Vec<String>,
        execute: impl AsyncFnOnce(&Redis, &str, Vec<Parameter>) -> Result<Vec<Reply>, RedisError>,
    ) -> Option<Vec<Reply>> {
        let allowed = self
            .breaker
            .lock()
            .is_ok_and(|mut breaker| breaker.allows(SpinClock.now()));
        if !allowed {
            return None;
        }
        let parameters = text_parameters(std::iter::once(script.to_owned()).chain(arguments));
        let result = execute(redis, "EVAL", parameters).await;
        let transition = self.breaker.lock().ok().and_then(|mut breaker| {
            // A Redis that answers late is not gone.
            if matches!(result, Ok(_) | Err(RedisError::Late)) {
                breaker.succeeded()
            } else {
                breaker.failed(SpinClock.now())
            }
        });
        match (&result, transition) {
            (Err(error), Some(BreakerTransition::Opened)) => log_failure(error),
            (_, Some(_)) => spin::log("providers: their state can be shared again"),
            (_, None) => {}
        }
        result.ok()
    }
}

fn text_parameters(arguments: impl IntoIterator<Item = String>) -> Vec<Parameter> {
    arguments
        .into_iter()
        .map(|text| Parameter::Bytes(text.into_bytes()))
        .collect()
}

fn log_failure(error: &RedisError) {
    spin::log(&format!(
        "providers: their state cannot be shared, so every instance finds out by itself: {}",
        explain_redis_error(&error.to_string())
    ));
}

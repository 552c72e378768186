//! The places of a request that is under way, kept until it ends.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use spillway_platform::Clock;
use spillway_platform_spin::{self as spin, Parameter, Redis, RedisError, SpinClock};
use spillway_state::{
    Hold, LEASE_MS, LEASE_RELEASE_V1, LEASE_RENEW_V1, LeaseName, explain_redis_error,
    lease_release_arguments, lease_renew_arguments,
};

/// A third of a lease, so that one renewal may fail.
const RENEW_AFTER: Duration = Duration::from_millis(LEASE_MS / 3);

/// When the places of a call that was given up are given back, and again, until Redis has said twice that they are:
/// once could be before it comes to the call itself, which may still wait for it on a connection that was dropped.
const GIVE_BACK_EVERY: Duration = Duration::from_millis(500);
/// After which a lease has ended by itself.
const GIVE_BACK_TRIES: u64 = LEASE_MS / 500;

/// Places in the store, renewed as long as this lives and given up when it is dropped. If the whole instance dies
/// they are free when the lease ends.
#[derive(Debug)]
pub struct Lease {
    /// Dropped with the lease, which ends the task that keeps it.
    _end: oneshot::Sender<()>,
}

impl Lease {
    /// Keeps places that have been taken.
    pub(crate) fn keep(redis: Arc<Redis>, holds: Vec<Hold>, name: LeaseName) -> Self {
        let (end, mut ended) = oneshot::channel();
        spin::spawn(async move {
            loop {
                let renewal = std::pin::pin!(SpinClock.sleep(RENEW_AFTER));
                match select(&mut ended, renewal).await {
                    Either::Left(_) => break,
                    Either::Right(_) => {
                        let arguments = lease_renew_arguments(&holds, &name, None);
                        evaluate_or_log(&redis, LEASE_RENEW_V1, arguments).await;
                    }
                }
            }
            let arguments = lease_release_arguments(&holds, &name);
            evaluate_or_log(&redis, LEASE_RELEASE_V1, arguments).await;
        });
        Self { _end: end }
    }

    /// Gives back what a call may have taken that Redis did not answer in time: a Redis that was only held up runs it
    /// all the same when it goes on.
    pub(crate) fn give_back(redis: Arc<Redis>, holds: Vec<Hold>, name: LeaseName) {
        spin::spawn(async move {
            let mut was_given_back = false;
            for _ in 0..GIVE_BACK_TRIES {
                SpinClock.sleep(GIVE_BACK_EVERY).await;
                let arguments = lease_release_arguments(&holds, &name);
                let given_back = evaluate(&redis, LEASE_RELEASE_V1, arguments).await.is_ok();
                if given_back && was_given_back {
                    break;
                }
                was_given_back |= given_back;
            }
        });
    }
}

async fn evaluate(redis: &Redis, script: &str, arguments: Vec<String>) -> Result<(), RedisError> {
    let parameters = std::iter::once(script.to_owned())
        .chain(arguments)
        .map(|text| Parameter::Bytes(text.into_bytes()))
        .collect();
    redis
        .execute_patiently("EVAL", parameters)
        .await
        .map(|_| ())
}

async fn evaluate_or_log(redis: &Redis, script: &str, arguments: Vec<String>) {
    if let Err(error) = evaluate(redis, script, arguments).await {
        // The lease ends by itself.
        spin::log(&format!(
            "limits: places under way could not be kept up to date: {}",
            explain_redis_error(&error.to_string())
        ));
    }
}

//! The places of a request that is under way, kept until it ends.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use spillway_platform::Clock;
use spillway_platform::spin::{self, Parameter, Redis, SpinClock};
use spillway_store::{
    Hold, LEASE_MS, LEASE_RELEASE_V1, LEASE_RENEW_V1, LeaseName, explain_redis_error,
    lease_release_arguments, lease_renew_arguments,
};

/// A third of a lease, so that one renewal may fail.
const RENEW_AFTER: Duration = Duration::from_millis(LEASE_MS / 3);

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
                        evaluate(&redis, LEASE_RENEW_V1, arguments).await;
                    }
                }
            }
            let arguments = lease_release_arguments(&holds, &name);
            evaluate(&redis, LEASE_RELEASE_V1, arguments).await;
        });
        Self { _end: end }
    }
}

async fn evaluate(redis: &Redis, script: &str, arguments: Vec<String>) {
    let parameters = std::iter::once(script.to_owned())
        .chain(arguments)
        .map(|text| Parameter::Bytes(text.into_bytes()))
        .collect();
    if let Err(error) = redis.execute("EVAL", parameters).await {
        // The lease ends by itself.
        spin::log(&format!(
            "limits: places under way could not be kept up to date: {}",
            explain_redis_error(&error.to_string())
        ));
    }
}

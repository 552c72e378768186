//! The places of a request that is in flight, kept until it ends.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use spillway_platform::{Charge, LEASE_MS, LeaseName, Platform, State, StateError};

use crate::Log;
use crate::retry::retry;

/// A third of a lease, so that one renewal may fail.
const RENEW_AFTER: Duration = Duration::from_millis(LEASE_MS / 3);

/// When the places of a call that was given up are given back, and again, until the store has said twice that they
/// are: once could be before it comes to the call itself, which may still wait for it on a connection that was dropped.
const GIVE_BACK_EVERY: Duration = Duration::from_millis(500);
/// After which a lease has ended by itself.
const GIVE_BACK_ATTEMPTS: u64 = LEASE_MS / 500;

/// Places in the store, renewed as long as this lives and given back when it is dropped. If the whole instance dies
/// they are free when the lease ends.
#[derive(Debug)]
pub struct Permit {
    /// Dropped with the permit, which ends the task that keeps it.
    _end: oneshot::Sender<()>,
}

impl Permit {
    /// Keeps places that have been taken.
    pub(crate) fn keep<P: Platform>(
        platform: &P,
        log: Log<P>,
        state: Arc<P::State>,
        in_flight: Vec<Charge>,
        name: LeaseName,
    ) -> Self {
        let (end, mut ended) = oneshot::channel();
        let keeper = platform.clone();
        platform.spawn(async move {
            loop {
                let renewal = std::pin::pin!(keeper.sleep(RENEW_AFTER));
                match select(&mut ended, renewal).await {
                    Either::Left(_) => break,
                    Either::Right(_) => {
                        log_failure(&log, state.renew(&in_flight, &name).await);
                    }
                }
            }
            // A store that is away for a moment would keep the place for as long as a lease.
            let released = retry(&keeper, async || state.release(&in_flight, &name).await);
            log_failure(&log, released.await);
        });
        Self { _end: end }
    }

    /// Gives back what a call may have taken that the store did not answer in time: one that was only held up runs it
    /// all the same when it goes on.
    pub(crate) fn give_back<P: Platform>(
        platform: &P,
        state: Arc<P::State>,
        in_flight: Vec<Charge>,
        name: LeaseName,
    ) {
        let clock = platform.clone();
        platform.spawn(async move {
            let mut was_given_back = false;
            for _ in 0..GIVE_BACK_ATTEMPTS {
                clock.sleep(GIVE_BACK_EVERY).await;
                let given_back = state.release(&in_flight, &name).await.is_ok();
                if given_back && was_given_back {
                    break;
                }
                was_given_back |= given_back;
            }
        });
    }
}

fn log_failure<P: Platform>(log: &Log<P>, result: Result<(), StateError>) {
    if let Err(error) = result {
        // The lease ends by itself.
        log.warn(&format!(
            "limits: what is in flight could not be kept up to date: {error}"
        ));
    }
}

//! The places of a request that is in flight, kept until it ends.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use spillway_platform::{Charge, LEASE_MS, LeaseName, Platform, State, StateError};

use crate::Log;
use crate::retry::retry;

/// After this places are free in any case.
const LEASE: Duration = Duration::from_millis(LEASE_MS);

/// A third of a lease, so that one renewal may fail.
const RENEW_AFTER: Duration = Duration::from_millis(LEASE_MS / 3);

/// What a request may have taken that was not answered in time is given back so much later: it is seldom later itself.
const IS_SELDOM_LATER: Duration = Duration::from_millis(500);

/// And once more after this: what was sent on a connection that was let go may be done as late.
const MAY_BE_LATER: Duration = Duration::from_secs(3);

/// Places in the store, renewed as long as this lives and given back when it is dropped. If the whole instance dies
/// they are free when the lease ends.
#[derive(Debug)]
pub struct Permit {
    /// Dropped with the permit, which ends the task that keeps it.
    _end: oneshot::Sender<()>,
}

/// The places themselves. The runtime may give up the task that keeps them, with its request and wherever it stands: they
/// are given back then by a task of whichever request has the instance's next turn.
struct Places<P: Platform> {
    platform: P,
    log: Log<P>,
    state: Arc<P::State>,
    in_flight: Vec<Charge>,
    name: LeaseName,
    /// Something was not answered that takes them, and may be done yet.
    may_be_taken_again: bool,
    is_held: bool,
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
        let mut places = Places {
            platform: platform.clone(),
            log,
            state,
            in_flight,
            name,
            may_be_taken_again: false,
            is_held: true,
        };
        platform.spawn(async move {
            loop {
                let renewal = std::pin::pin!(places.platform.sleep(RENEW_AFTER));
                match select(&mut ended, renewal).await {
                    Either::Left(_) => break,
                    Either::Right(_) => places.renew().await,
                }
            }
            places.release().await;
        });
        Self { _end: end }
    }

    /// Gives back what a call may have taken that the store did not answer in time: one that was only held up runs it
    /// all the same when it goes on.
    pub(crate) fn give_back<P: Platform>(
        platform: &P,
        log: Log<P>,
        state: Arc<P::State>,
        in_flight: Vec<Charge>,
        name: LeaseName,
    ) {
        let places = Places {
            platform: platform.clone(),
            log,
            state,
            in_flight,
            name,
            may_be_taken_again: true,
            is_held: true,
        };
        platform.spawn(async move {
            places.platform.sleep(IS_SELDOM_LATER).await;
            places.release().await;
        });
    }
}

impl<P: Platform> Places<P> {
    async fn renew(&mut self) {
        let renewed = self.state.renew(&self.in_flight, &self.name).await;
        self.may_be_taken_again |= renewed.is_err();
        log_failure(&self.log, renewed);
    }

    async fn release(mut self) {
        // A store that is away for a moment would keep them for as long as a lease.
        log_failure(&self.log, self.release_now().await);
        if self.may_be_taken_again {
            self.platform.sleep(MAY_BE_LATER).await;
            log_failure(&self.log, self.release_now().await);
        }
        self.is_held = false;
    }

    async fn release_now(&self) -> Result<(), StateError> {
        let release = async || self.state.release(&self.in_flight, &self.name).await;
        retry(&self.platform, LEASE, release).await
    }
}

impl<P: Platform> Drop for Places<P> {
    fn drop(&mut self) {
        if std::mem::replace(&mut self.is_held, false) {
            let places = Self {
                platform: self.platform.clone(),
                log: self.log.clone(),
                state: Arc::clone(&self.state),
                in_flight: std::mem::take(&mut self.in_flight),
                name: LeaseName(std::mem::take(&mut self.name.0)),
                may_be_taken_again: self.may_be_taken_again,
                is_held: true,
            };
            self.platform.spawn(places.release());
        }
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

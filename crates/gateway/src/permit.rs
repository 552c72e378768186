//! What a request holds in the store until it ends: its places among those in flight, and the tokens that it has reserved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use spillway_limit::Reserved;
use spillway_platform::{
    Charge, LEASE_MS, LeaseName, Platform, SETTLEMENT_TRIED_MS, Settled, State, StateError,
};
use spillway_telemetry::Family;

use crate::call_usage::CallUsage;
use crate::retry::retry;
use crate::{Log, Meter};

/// After this places are free in any case.
const LEASE: Duration = Duration::from_millis(LEASE_MS);

/// A third of a lease, so that one renewal may fail.
const RENEW_AFTER: Duration = Duration::from_millis(LEASE_MS / 3);

/// For how long what a call has used is tried to be settled.
const SETTLEMENT_TRIED: Duration = Duration::from_millis(SETTLEMENT_TRIED_MS);

/// What a request may have taken that was not answered in time is given back so much later: it is seldom later itself.
const IS_SELDOM_LATER: Duration = Duration::from_millis(500);

/// And once more after this: what was sent on a connection that was let go may be done as late.
const MAY_BE_LATER: Duration = Duration::from_secs(3);

/// Renewed as long as this lives, and given up when it is settled or dropped. If the whole instance dies all is free when
/// the lease ends.
#[derive(Debug)]
pub struct Permit {
    /// Dropped with the permit, which ends the task that keeps it.
    _end: oneshot::Sender<()>,
    usage: UsageSlot,
}

/// What the request has used, once that is known; nothing, until then. The runtime may give up whoever keeps the permit
/// before the request that tells.
type UsageSlot = Arc<Mutex<Option<CallUsage>>>;

/// What is to be kept for a request.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Its places among those in flight.
    pub in_flight: Vec<Charge>,
    /// What it has reserved.
    pub reserved: Vec<Reserved>,
    /// The kind of call that its use tells of, where somebody wants to know.
    pub kind: Option<String>,
    pub name: LeaseName,
    /// Something was not answered that takes it, and may be done yet.
    pub may_be_taken_again: bool,
}

impl Kept {
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty() && self.reserved.is_empty()
    }

    /// What ends if it is not renewed.
    fn leased(&self) -> Vec<Charge> {
        let reserved = self.reserved.iter().map(|reserved| &reserved.charge);
        let reserved = reserved.filter(|charge| charge.cost > 0);
        self.in_flight.iter().chain(reserved).cloned().collect()
    }

    fn settled(&self, usage: Option<CallUsage>) -> Vec<Settled> {
        let settled = self.reserved.iter().map(|reserved| {
            let actual = usage.map_or(0, |usage| actual(reserved, usage));
            Settled {
                charge: reserved.charge.clone(),
                sub_window: reserved.sub_window,
                actual,
            }
        });
        settled.collect()
    }
}

fn actual(reserved: &Reserved, usage: CallUsage) -> u64 {
    let used = reserved.counting.actual(usage.tokens);
    if usage.may_be_more {
        used.max(reserved.charge.cost)
    } else {
        used
    }
}

/// Who keeps it. The runtime may give up the task that does, with its request and wherever it stands: it is given up then by
/// a task of whichever request has the instance's next turn.
struct Keeper<P: Platform> {
    ground: Keeping<P>,
    kept: Kept,
    usage: UsageSlot,
    /// Something was not answered that takes places, and may be done yet.
    may_be_taken_again: bool,
    is_held: bool,
}

/// What keeping needs.
pub(crate) struct Keeping<P: Platform> {
    pub platform: P,
    pub log: Log<P>,
    pub state: Arc<P::State>,
    pub meter: Arc<Meter<P>>,
}

impl<P: Platform> Clone for Keeping<P> {
    fn clone(&self) -> Self {
        Self {
            platform: self.platform.clone(),
            log: self.log.clone(),
            state: Arc::clone(&self.state),
            meter: Arc::clone(&self.meter),
        }
    }
}

impl Permit {
    /// Keeps what has been taken.
    pub(crate) fn keep<P: Platform>(ground: &Keeping<P>, kept: Kept) -> Self {
        let (end, mut ended) = oneshot::channel();
        let leased = kept.leased();
        let mut keeper = Keeper::new(ground, kept);
        let usage = Arc::clone(&keeper.usage);
        ground.platform.spawn(async move {
            if leased.is_empty() {
                // Dropped, or gone with its request.
                let _ = (&mut ended).await;
            } else {
                loop {
                    let renewal = std::pin::pin!(keeper.ground.platform.sleep(RENEW_AFTER));
                    match select(&mut ended, renewal).await {
                        Either::Left(_) => break,
                        Either::Right(_) => keeper.renew(&leased).await,
                    }
                }
            }
            keeper.release().await;
        });
        Self { _end: end, usage }
    }

    /// Ends it: the request has used this.
    pub(crate) fn settle(self, usage: CallUsage) {
        if let Ok(mut slot) = self.usage.lock() {
            *slot = Some(usage);
        }
    }

    /// Gives back what a call may have taken that the store did not answer in time: one that was only held up runs it
    /// all the same when it goes on.
    pub(crate) fn give_back<P: Platform>(ground: &Keeping<P>, kept: Kept) {
        let keeper = Keeper::new(ground, kept);
        ground.platform.spawn(async move {
            keeper.ground.platform.sleep(IS_SELDOM_LATER).await;
            keeper.release().await;
        });
    }
}

impl<P: Platform> Keeper<P> {
    fn new(ground: &Keeping<P>, kept: Kept) -> Self {
        Self {
            ground: ground.clone(),
            may_be_taken_again: kept.may_be_taken_again,
            kept,
            usage: UsageSlot::default(),
            is_held: true,
        }
    }

    async fn renew(&mut self, leased: &[Charge]) {
        let renewed = self.ground.state.renew(leased, &self.kept.name).await;
        self.may_be_taken_again |= renewed.is_err();
        self.log_failure(
            "what a running call holds could not be kept up to date, and ends with its lease",
            renewed,
        );
    }

    async fn release(mut self) {
        // A store that is away for a moment would keep them for as long as a lease.
        self.release_now().await;
        if self.may_be_taken_again {
            self.ground.platform.sleep(MAY_BE_LATER).await;
            self.release_now().await;
        }
        self.is_held = false;
    }

    async fn release_now(&mut self) {
        let settled = self.settle().await;
        self.log_failure(
            "what a call has used could not be counted, and is lost",
            settled,
        );
        let Kept {
            in_flight, name, ..
        } = &self.kept;
        if in_flight.is_empty() {
            return;
        }
        let Keeping {
            platform, state, ..
        } = &self.ground;
        let release = async || state.release(in_flight, name).await;
        let released = retry(platform, LEASE, release).await;
        self.log_failure(
            "a place could not be given back, and ends with its lease",
            released,
        );
    }

    /// Has what was reserved come to what was used, and tells of it.
    async fn settle(&mut self) -> Result<(), StateError> {
        let usage = self.usage();
        let settled = self.kept.settled(usage);
        if settled.is_empty() {
            return Ok(());
        }
        let Keeping {
            platform, state, ..
        } = &self.ground;
        let settle = async || state.settle(&settled, &self.kept.name).await;
        // A store of one machine does not tell a settlement that it has done in part from another.
        if state.is_shared() {
            retry(platform, SETTLEMENT_TRIED, settle).await?;
        } else {
            settle().await?;
        }
        let observed = usage.and_then(|usage| usage.observed);
        if let (Some(kind), Some(observed)) = (self.kept.kind.take(), observed) {
            state.observe_usage(&kind, observed).await?;
        }
        Ok(())
    }

    fn log_failure(&self, what: &str, result: Result<(), StateError>) {
        if let Err(error) = result {
            self.ground.log.warn(&format!("limits: {what}: {error}"));
        }
    }

    fn usage(&self) -> Option<CallUsage> {
        self.usage.lock().ok().and_then(|usage| *usage)
    }

    /// Once, however often it is settled.
    fn count(&self) {
        let Some(usage) = self.usage() else {
            return;
        };
        self.ground.meter.count(|counters| {
            // A rule of several windows tells it once.
            let mut by_rule: BTreeMap<&str, u64> = BTreeMap::new();
            for reserved in &self.kept.reserved {
                let used = by_rule.entry(&reserved.rule).or_default();
                *used = actual(reserved, usage).max(*used);
            }
            for (rule, used) in by_rule {
                let mut add = |kind: &'static str| {
                    let labels = [rule.to_owned().into(), kind.into()];
                    counters.add(Family::TokenLimits, labels, used);
                };
                add("settled");
                if usage.is_estimated {
                    add("estimated");
                }
            }
        });
    }
}

impl<P: Platform> Drop for Keeper<P> {
    fn drop(&mut self) {
        if std::mem::replace(&mut self.is_held, false) {
            let mut keeper = Self::new(&self.ground, self.kept.clone());
            keeper.usage = Arc::clone(&self.usage);
            keeper.may_be_taken_again = self.may_be_taken_again;
            self.ground.platform.spawn(keeper.release());
        } else {
            self.count();
        }
    }
}

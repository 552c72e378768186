//! The store as instances see it: the oracle at the end of a connection on which things go wrong.
//!
//! What was sent is done whether or not anybody still waits, as a Redis does it. As long as nobody says how it goes it
//! is done at once.

use std::future::Future;
use std::time::Duration;

use spillway_platform::{Clock, StateError, Waiting};
use spillway_state::{ConnectionManager, Oracle};

mod delivery;
mod operation;
mod port;
mod transport;

pub(crate) use delivery::StoreNetwork;
pub use delivery::{StoreConnectionPast, StoreDelivery, StoreFault, StoreOpening};
pub use operation::{StoreAnswer, StoreOperation};
pub(crate) use transport::Link;

use crate::{Sim, SimMoment};

/// No request waits for totals.
const BULK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a probe may take in all.
const PROBE: Duration = Duration::from_millis(800);

/// The store's clock, which may go wrong as the gateway's may.
#[derive(Clone)]
pub struct StoreClock(pub(crate) Sim);

impl Clock for StoreClock {
    fn now(&self) -> Duration {
        self.0.now()
    }

    fn since_1970(&self) -> Duration {
        self.0.date(self.0.0.store_is_off.get())
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        self.0.sleep(duration)
    }
}

/// What was done, at which time of the store's clock, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEvent {
    /// When it was done.
    pub at: SimMoment,
    /// The store's.
    pub since_1970: Duration,
    /// What it was asked.
    pub operation: StoreOperation,
    /// What it said.
    pub answer: Result<StoreAnswer, StateError>,
}

/// An instance's connections to the store, as the store in Redis has them: one on which requests wait, and one for
/// totals.
pub struct SimStore {
    sim: Sim,
    verdicts: ConnectionManager<Sim>,
    bulk: ConnectionManager<Sim>,
}

impl Sim {
    /// All that the store has done, in its order.
    pub fn store_events(&self) -> Vec<StoreEvent> {
        self.0.store_events.borrow().clone()
    }

    /// What became of connections to the store.
    pub fn store_notes(&self) -> Vec<(SimMoment, &'static str)> {
        self.0.store_notes.borrow().clone()
    }

    fn note_of_store(&self, words: &'static str) {
        let note = (self.moment(), words);
        self.0.store_notes.borrow_mut().push(note);
    }

    /// What all instances of this world share.
    pub fn oracle(&self) -> Oracle<StoreClock> {
        let mut oracle = self.0.oracle.borrow_mut();
        oracle
            .get_or_insert_with(|| Oracle::new(StoreClock(self.clone())))
            .clone()
    }

    /// Connections to it.
    pub(crate) fn store(&self) -> SimStore {
        let verdicts = ConnectionManager::new(self.clone());
        SimStore {
            sim: self.clone(),
            bulk: verdicts.another(),
            verdicts,
        }
    }
}

impl SimStore {
    async fn ask(
        &self,
        operation: StoreOperation,
        waiting: Waiting,
    ) -> Result<StoreAnswer, StateError> {
        if self.sim.0.store_network.borrow().is_none() {
            return self.sim.do_in_store(&operation).await;
        }
        let make = || operation.clone();
        let answer = match &operation {
            StoreOperation::Probe => {
                let waiting = Waiting::Until(self.sim.now().saturating_add(PROBE));
                self.verdicts.another().execute(make, waiting).await
            }
            StoreOperation::AddTotals(..)
            | StoreOperation::Totals(_)
            | StoreOperation::IndexLimits(_)
            | StoreOperation::IndexedLimits
            | StoreOperation::ReadLimits(_) => {
                let waiting = Waiting::Until(self.sim.now().saturating_add(BULK_TIMEOUT));
                self.bulk.execute(make, waiting).await
            }
            _ => self.verdicts.execute(make, waiting).await,
        };
        Ok(answer?)
    }
}

impl Sim {
    async fn do_in_store(&self, operation: &StoreOperation) -> Result<StoreAnswer, StateError> {
        let oracle = self.oracle();
        let answer = operation.ask(&oracle).await;
        self.0.store_events.borrow_mut().push(StoreEvent {
            at: self.moment(),
            since_1970: StoreClock(self.clone()).since_1970(),
            operation: operation.clone(),
            answer: answer.clone(),
        });
        answer
    }
}

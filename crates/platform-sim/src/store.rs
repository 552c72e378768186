//! The store as instances see it: the oracle at the end of a connection on which things go wrong.
//!
//! What was sent is done whether or not anybody still waits, as a Redis does it. As long as no delivery is set it is done at
//! once.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};
use spillway_platform::{Clock, StateError};
use spillway_state::Oracle;

mod operation;
mod port;

pub use operation::{StoreAnswer, StoreOperation};

use crate::{Sim, SimMoment};

/// After so long without an answer a connection is thrown away, and with it whoever still waits.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(2);

/// How one operation fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreDelivery {
    /// How long it takes there.
    pub there: Duration,
    /// How often it is done: not at all where the request is lost, twice where a client sends it again.
    pub times: u8,
    /// How long the answer takes, unless that is lost.
    pub back: Option<Duration>,
    /// Whether it is refused at once, before it leaves.
    pub is_refused: bool,
}

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

/// An instance's connection to the store.
pub struct SimStore {
    sim: Sim,
    timeout: Duration,
}

/// Where a reply is put.
#[derive(Default)]
struct Reply {
    said: Option<Result<StoreAnswer, StateError>>,
    waiter: Option<Waker>,
}

impl Sim {
    /// From now on operations are delivered as this says of each.
    pub fn set_store_delivery(
        &self,
        deliver: impl FnMut(&StoreOperation) -> StoreDelivery + 'static,
    ) {
        self.0.store_delivery.replace(Some(Box::new(deliver)));
    }

    /// All that the store has done, in its order.
    pub fn store_events(&self) -> Vec<StoreEvent> {
        self.0.store_events.borrow().clone()
    }

    /// What all instances of this world share.
    pub fn oracle(&self) -> Oracle<StoreClock> {
        let mut oracle = self.0.oracle.borrow_mut();
        oracle
            .get_or_insert_with(|| Oracle::new(StoreClock(self.clone())))
            .clone()
    }

    /// A connection to it, whose requests wait for as long as this.
    pub(crate) fn store(&self, timeout: Duration) -> SimStore {
        SimStore {
            sim: self.clone(),
            timeout,
        }
    }
}

impl SimStore {
    async fn ask(&self, operation: StoreOperation) -> Result<StoreAnswer, StateError> {
        let delivery = self
            .sim
            .0
            .store_delivery
            .borrow_mut()
            .as_mut()
            .map(|deliver| deliver(&operation));
        let Some(delivery) = delivery else {
            return self.sim.do_in_store(&operation).await;
        };
        if delivery.is_refused {
            return Err(StateError {
                message: "the store takes no connection".to_owned(),
                is_late: false,
            });
        }
        let is_awaited = operation.is_awaited();
        let patience = if is_awaited {
            self.timeout
        } else {
            GIVEN_UP_AFTER
        };
        let reply = Rc::new(RefCell::new(Reply::default()));
        let (sim, place) = (self.sim.clone(), Rc::clone(&reply));
        self.sim.0.executor.begin(None, async move {
            sim.sleep(delivery.there).await;
            let mut said = None;
            for _ in 0..delivery.times {
                said = Some(sim.do_in_store(&operation).await);
            }
            if let (Some(said), Some(back)) = (said, delivery.back) {
                sim.sleep(back).await;
                let mut place = place.borrow_mut();
                place.said = Some(said);
                if let Some(waiter) = place.waiter.take() {
                    waiter.wake();
                }
            }
        });
        let answered = poll_fn(move |context| {
            let mut reply = reply.borrow_mut();
            reply.waiter = Some(context.waker().clone());
            reply.said.take().map_or(Poll::Pending, Poll::Ready)
        });
        match select(answered, std::pin::pin!(self.sim.sleep(patience))).await {
            Either::Left((said, _)) => said,
            Either::Right(_) => Err(StateError {
                message: "the store has not answered".to_owned(),
                is_late: is_awaited,
            }),
        }
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

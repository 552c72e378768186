//! Connections to the store, as a runtime has them: what is sent is done and answered in its order, until they break.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use spillway_platform::Clock;
use spillway_state::{RedisError, Transport};

use super::{StoreAnswer, StoreConnectionPast, StoreFault, StoreOpening, StoreOperation};
use crate::Sim;

/// Of two things on one connection the second comes later.
const LATER: Duration = Duration::from_nanos(1);

impl Transport for Sim {
    type Connection = SimConnection;
    type Command = StoreOperation;
    type Answer = StoreAnswer;

    fn open(&self) -> impl Future<Output = Result<SimConnection, RedisError>> + 'static {
        let sim = self.clone();
        async move {
            let opening = sim
                .0
                .store_network
                .borrow_mut()
                .as_mut()
                .map(|network| (network.open)());
            match opening.unwrap_or(StoreOpening::After(Duration::ZERO)) {
                StoreOpening::After(time) => sim.sleep(time).await,
                StoreOpening::Refused => {
                    sim.note_of_store("refuses a connection");
                    return Err(RedisError::in_words("Connection refused"));
                }
                StoreOpening::Never => {
                    sim.note_of_store("does not answer to a connection");
                    pending().await
                }
            }
            sim.note_of_store("takes a connection");
            let link = Rc::new(Link::new(&sim));
            let mut all = sim.0.store_connections.borrow_mut();
            all.retain(|one| one.strong_count() > 0);
            all.push(Rc::downgrade(&link));
            Ok(SimConnection(link))
        }
    }

    async fn execute(
        connection: Arc<SimConnection>,
        operation: StoreOperation,
    ) -> Result<StoreAnswer, RedisError> {
        let reply = connection.0.clone().send(operation);
        poll_fn(move |context| {
            let mut reply = reply.borrow_mut();
            reply.waiter = Some(context.waker().clone());
            reply.said.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.executor.spawn(task);
    }

    async fn yield_now(&self) {
        spillway_platform::Platform::yield_now(self).await;
    }
}

/// A connection that stands.
pub struct SimConnection(Rc<Link>);

/// Both ends of it.
pub(crate) struct Link {
    sim: Sim,
    opened: Duration,
    answered: Cell<u32>,
    state: Cell<LinkState>,
    /// When the last operation arrives, and the last answer.
    last_there: Cell<Duration>,
    last_back: Cell<Duration>,
    replies: RefCell<Vec<Rc<RefCell<Reply>>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    Stands,
    Silent,
    Broken,
}

/// Where an answer is put.
#[derive(Default)]
struct Reply {
    said: Option<Result<StoreAnswer, RedisError>>,
    waiter: Option<Waker>,
}

impl Link {
    fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            opened: sim.time(),
            answered: Cell::default(),
            state: Cell::new(LinkState::Stands),
            last_there: Cell::default(),
            last_back: Cell::default(),
            replies: RefCell::default(),
        }
    }

    fn send(self: Rc<Self>, operation: StoreOperation) -> Rc<RefCell<Reply>> {
        let reply = Rc::new(RefCell::new(Reply::default()));
        if self.state.get() == LinkState::Broken {
            reply.borrow_mut().put(Err(broken()));
            return reply;
        }
        self.replies.borrow_mut().push(Rc::clone(&reply));
        let past = StoreConnectionPast {
            age: self.sim.time().saturating_sub(self.opened),
            answered: self.answered.get(),
        };
        let network = &self.sim.0.store_network;
        let delivery = network
            .borrow_mut()
            .as_mut()
            .map(|network| (network.deliver)(&operation, past));
        let (there, back, fault) = delivery.map_or(
            (Duration::ZERO, Duration::ZERO, StoreFault::None),
            |delivery| (delivery.there, delivery.back, delivery.fault),
        );
        let arrival = self.next(&self.last_there, there);
        let place = Rc::clone(&reply);
        let executor = Rc::clone(&self.sim.0.executor);
        executor.begin(None, async move {
            self.until(arrival).await;
            if self.state.get() != LinkState::Stands {
                return;
            }
            match fault {
                StoreFault::SilentBefore => return self.falls_silent(),
                StoreFault::BreaksBefore => return self.breaks(),
                _ => {}
            }
            let answer = if let StoreFault::Error(words) = fault {
                Err(RedisError::in_words(words))
            } else {
                let done = self.sim.do_in_store(&operation).await;
                done.map_err(|error| RedisError::in_words(&error.message))
            };
            match fault {
                StoreFault::SilentAfter => return self.falls_silent(),
                StoreFault::BreaksAfter => return self.breaks(),
                _ => {}
            }
            let arrival = self.next(&self.last_back, back);
            self.until(arrival).await;
            if self.state.get() == LinkState::Stands {
                self.answered.set(self.answered.get().saturating_add(1));
                self.replies
                    .borrow_mut()
                    .retain(|one| !Rc::ptr_eq(one, &place));
                place.borrow_mut().put(answer);
            }
        });
        reply
    }

    /// When what takes so long arrives: not before what was sent before it.
    fn next(&self, last: &Cell<Duration>, takes: Duration) -> Duration {
        let soonest = last.get().saturating_add(LATER);
        let arrival = self.sim.time().saturating_add(takes).max(soonest);
        last.set(arrival);
        arrival
    }

    async fn until(&self, time: Duration) {
        let left = time.saturating_sub(self.sim.time());
        self.sim.sleep(left).await;
    }

    fn falls_silent(&self) {
        self.sim.note_of_store("falls silent on a connection");
        self.state.set(LinkState::Silent);
    }

    /// It breaks, and whoever waits is told.
    pub fn breaks(&self) {
        self.sim.note_of_store("breaks a connection");
        self.state.set(LinkState::Broken);
        for reply in self.replies.take() {
            reply.borrow_mut().put(Err(broken()));
        }
    }
}

fn broken() -> RedisError {
    RedisError::in_words("Broken pipe (os error 32)")
}

impl Reply {
    fn put(&mut self, said: Result<StoreAnswer, RedisError>) {
        self.said = Some(said);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

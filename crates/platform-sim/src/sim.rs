//! A simulated world.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Duration;

use spillway_state::Oracle;

use crate::executor::Executor;
use crate::instance::Life;
use crate::store::{Link, StoreClock, StoreEvent, StoreNetwork};
use crate::{PeerStep, ReceivedRequest};

/// What an upstream does when it is asked.
type Upstream = Box<dyn FnMut(&ReceivedRequest) -> Vec<PeerStep>>;

/// When something happened: of what happened at the same time the later has the larger number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SimMoment {
    /// Since the world began.
    pub time: Duration,
    /// Its number.
    pub number: u64,
}

/// When the world began, since 1970.
const BEGAN: Duration = Duration::from_secs(1_800_000_000);

/// A simulated world. A copy is the same world.
#[derive(Clone, Default)]
pub struct Sim(pub(crate) Rc<World>);

pub(crate) struct World {
    pub executor: Rc<Executor>,
    pub log: RefCell<Vec<(SimMoment, String)>>,
    /// Of all that was written down.
    pub moments: Cell<u64>,
    pub variables: RefCell<BTreeMap<String, String>>,
    /// By host and port.
    pub upstreams: RefCell<BTreeMap<String, Upstream>>,
    pub asked: RefCell<Vec<ReceivedRequest>>,
    /// What nobody foresees, and yet is the same in every run of a seed.
    pub chance: RefCell<fastrand::Rng>,
    pub oracle: RefCell<Option<Oracle<StoreClock>>>,
    pub store_network: RefCell<Option<StoreNetwork>>,
    pub store_connections: RefCell<Vec<Weak<Link>>>,
    pub store_events: RefCell<Vec<StoreEvent>>,
    /// What became of connections to the store.
    pub store_notes: RefCell<Vec<(SimMoment, &'static str)>>,
    /// How far clocks that tell the date are off, in milliseconds.
    pub clock_is_off: Cell<i64>,
    pub store_is_off: Cell<i64>,
    /// Of all instances that there were.
    pub lives: RefCell<Vec<Rc<Life>>>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            executor: Rc::default(),
            log: RefCell::default(),
            moments: Cell::default(),
            variables: RefCell::default(),
            upstreams: RefCell::default(),
            asked: RefCell::default(),
            chance: RefCell::new(fastrand::Rng::with_seed(0)),
            oracle: RefCell::default(),
            store_network: RefCell::default(),
            store_connections: RefCell::default(),
            store_events: RefCell::default(),
            store_notes: RefCell::default(),
            clock_is_off: Cell::default(),
            store_is_off: Cell::default(),
            lives: RefCell::default(),
        }
    }
}

impl Sim {
    /// A world in which chance, and the order in which tasks have their turns, follow from a seed.
    pub fn seeded(seed: u64) -> Self {
        let sim = Self::default();
        let mut chance = fastrand::Rng::with_seed(seed);
        sim.0.executor.draw_by(chance.fork());
        sim.0.chance.replace(chance);
        sim
    }

    /// Runs a task, and all that it begins, to their ends. Whoever it is, it is outside.
    ///
    /// # Panics
    /// Where something was done that no runtime would do, or a task can never end.
    #[expect(clippy::panic, reason = "the run has failed")]
    pub fn run<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> T {
        let output = Rc::new(RefCell::new(None));
        let place = Rc::clone(&output);
        let executor = &self.0.executor;
        executor.begin(None, async move {
            let result = task.await;
            place.replace(Some(result));
        });
        executor.run();
        let faults = executor.faults();
        assert!(faults.is_empty(), "{}", faults.join("; "));
        let result = output.take();
        result.unwrap_or_else(|| panic!("the task did not end"))
    }

    /// A task outside, beside all others.
    pub fn outside(&self, task: impl Future<Output = ()> + 'static) {
        self.0.executor.begin(None, task);
    }

    /// Runs all tasks to their ends, which have to come by then, and returns what no runtime would have done.
    pub fn run_out(&self, ends_by: Duration) -> Vec<String> {
        self.0.executor.ends_by.set(Some(ends_by));
        self.0.executor.run();
        self.0.executor.ends_by.set(None);
        self.0.executor.faults()
    }

    /// Takes the world apart. It is a circle of its parts, and would stay in memory.
    pub fn end(&self) {
        self.0.executor.end();
        self.0.upstreams.take();
        self.0.store_network.take();
        self.0.oracle.take();
        self.0.lives.take();
    }

    /// Until the tasks of this world have had so many turns together: any moment between two awaits has a number.
    /// `false`: the run came to its end before.
    pub fn turn(&self, turn: u64) -> impl Future<Output = bool> + 'static {
        let executor = Rc::clone(&self.0.executor);
        poll_fn(move |context| {
            if executor.turns() >= turn {
                return Poll::Ready(true);
            }
            if executor.is_over() {
                return Poll::Ready(false);
            }
            executor.wake_at_turn(turn, context.waker().clone());
            Poll::Pending
        })
    }

    /// How many turns tasks have had so far.
    pub fn turns(&self) -> u64 {
        self.0.executor.turns()
    }

    /// Sets an application variable.
    pub fn set_variable(&self, name: &str, value: &str) {
        let mut variables = self.0.variables.borrow_mut();
        variables.insert(name.to_owned(), value.to_owned());
    }

    /// What stands at this host and port.
    pub fn set_upstream(
        &self,
        authority: &str,
        upstream: impl FnMut(&ReceivedRequest) -> Vec<PeerStep> + 'static,
    ) {
        let mut upstreams = self.0.upstreams.borrow_mut();
        upstreams.insert(authority.to_owned(), Box::new(upstream));
    }

    /// All requests that were sent.
    pub fn asked(&self) -> Vec<ReceivedRequest> {
        self.0.asked.borrow().clone()
    }

    /// The log's lines.
    pub fn log_lines(&self) -> Vec<String> {
        let log = self.0.log.borrow();
        log.iter().map(|(_, line)| line.clone()).collect()
    }

    /// The same with the time at which each was written.
    pub fn log_events(&self) -> Vec<(SimMoment, String)> {
        self.0.log.borrow().clone()
    }

    /// Sets the clock that tells instances the date, so many milliseconds before or behind.
    pub fn set_clock(&self, is_off_ms: i64) {
        self.0.clock_is_off.set(is_off_ms);
    }

    /// Sets the store's.
    pub fn set_store_clock(&self, is_off_ms: i64) {
        self.0.store_is_off.set(is_off_ms);
    }

    /// The date, on a clock that is so many milliseconds off.
    pub(crate) fn date(&self, is_off_ms: i64) -> Duration {
        let right = BEGAN.saturating_add(self.time());
        let off = Duration::from_millis(is_off_ms.unsigned_abs());
        if is_off_ms < 0 {
            right.saturating_sub(off)
        } else {
            right.saturating_add(off)
        }
    }

    /// This moment, after all that were asked for before.
    pub fn moment(&self) -> SimMoment {
        let number = self.0.moments.get().wrapping_add(1);
        self.0.moments.set(number);
        SimMoment {
            time: self.time(),
            number,
        }
    }

    /// The time since the world began.
    pub fn time(&self) -> Duration {
        self.0.executor.timers.now()
    }
}

//! A simulated world.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use spillway_state::Oracle;

use crate::executor::Executor;
use crate::{PeerStep, ReceivedRequest};

/// What an upstream does when it is asked.
type Upstream = Box<dyn FnMut(&ReceivedRequest) -> Vec<PeerStep>>;

/// A simulated world. A copy is the same world.
#[derive(Clone, Default)]
pub struct Sim(pub(crate) Rc<World>);

#[derive(Default)]
pub(crate) struct World {
    pub executor: Rc<Executor>,
    pub log: RefCell<Vec<String>>,
    pub variables: RefCell<BTreeMap<String, String>>,
    /// By host and port.
    pub upstreams: RefCell<BTreeMap<String, Upstream>>,
    pub asked: RefCell<Vec<ReceivedRequest>>,
    pub chance: Cell<u64>,
    pub state: RefCell<Option<Oracle<Sim>>>,
}

impl Sim {
    /// Runs a task, and all that it begins, to their ends.
    #[expect(clippy::panic, reason = "the run has failed")]
    pub fn run<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> T {
        let output = Rc::new(RefCell::new(None));
        let place = Rc::clone(&output);
        self.0.executor.spawn(async move {
            let result = task.await;
            place.replace(Some(result));
        });
        self.0.executor.run();
        let result = output.take();
        result.unwrap_or_else(|| panic!("the task did not end"))
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
        self.0.log.borrow().clone()
    }

    /// The state that all instances in this world share.
    pub fn state(&self) -> Oracle<Self> {
        let mut state = self.0.state.borrow_mut();
        state
            .get_or_insert_with(|| Oracle::new(self.clone()))
            .clone()
    }

    /// The time since the world began.
    pub fn time(&self) -> Duration {
        self.0.executor.now()
    }
}

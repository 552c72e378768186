//! Instances of a component: what serves requests, and what can die.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::board::GroupId;
use crate::pipe::{Pipe, PipeEnd};
use crate::{Sim, SimResponse};

/// An instance. A copy is the same one.
///
/// ```
/// use spillway_platform::{Headers, Platform};
/// use spillway_platform_sim::Sim;
///
/// let sim = Sim::seeded(7);
/// let instance = sim.instance();
/// let answer = sim.run(async move {
///     let platform = instance.platform();
///     let call = instance.call(async move {
///         platform.respond(http::StatusCode::OK, Headers::default(), "hello".into()).await
///     });
///     call.await.unwrap().read().await
/// });
/// assert_eq!(answer.text(), "hello");
/// ```
#[derive(Clone)]
pub struct SimInstance {
    sim: Sim,
    life: Rc<Life>,
}

/// What there is of an instance.
#[derive(Default)]
pub(crate) struct Life {
    number: u32,
    is_over: Cell<bool>,
    /// Its requests' groups, and who waits for their answers.
    calls: RefCell<Vec<(GroupId, Rc<RefCell<Slot>>)>>,
    /// Its streamed answers.
    pub pipes: RefCell<Vec<(GroupId, Rc<RefCell<Pipe>>)>>,
}

/// Where an answer is put.
#[derive(Default)]
struct Slot {
    answer: Option<Result<SimResponse, Unanswered>>,
    client: Option<Waker>,
    /// An answer that comes now is dropped at once, as the host does it.
    client_has_left: bool,
}

/// The client's end of a request. Dropped, it has left.
struct Client(Rc<RefCell<Slot>>);

impl Drop for Client {
    fn drop(&mut self) {
        let answer = {
            let mut slot = self.0.borrow_mut();
            slot.client_has_left = true;
            slot.answer.take()
        };
        drop(answer);
    }
}

/// Why a request got no answer, not even a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The component failed, with these words.
    Failed(String),
    /// The instance died, or the runtime gave the request up.
    Lost,
}

impl Sim {
    /// A new instance.
    pub fn instance(&self) -> SimInstance {
        let mut lives = self.0.lives.borrow_mut();
        let life = Rc::new(Life {
            // From one.
            number: u32::try_from(lives.len()).map_or(u32::MAX, |number| number.wrapping_add(1)),
            ..Life::default()
        });
        lives.push(Rc::clone(&life));
        drop(lives);
        SimInstance {
            sim: self.clone(),
            life,
        }
    }

    /// Whose group is at work.
    pub(crate) fn life_at_work(&self) -> Option<(GroupId, Rc<Life>)> {
        let group = self.0.executor.at_work()?;
        let lives = self.0.lives.borrow();
        let life = lives.iter().find(|life| life.has(group))?;
        Some((group, Rc::clone(life)))
    }
}

impl Life {
    fn has(&self, group: GroupId) -> bool {
        self.calls.borrow().iter().any(|(id, _)| *id == group)
    }
}

impl SimInstance {
    /// The platform that it runs on.
    pub fn platform(&self) -> Sim {
        self.sim.clone()
    }

    /// Whether it can still serve.
    pub fn is_alive(&self) -> bool {
        !self.life.is_over.get()
    }

    /// Gives it a request, which gets tasks of its own and goes on whether or not the client waits for it.
    pub fn call(
        &self,
        serving: impl Future<Output = Result<SimResponse, String>> + 'static,
    ) -> impl Future<Output = Result<SimResponse, Unanswered>> + 'static {
        let slot = Rc::new(RefCell::new(Slot::default()));
        if self.life.is_over.get() {
            slot.borrow_mut().put(Err(Unanswered::Lost));
        } else {
            let place = Rc::clone(&slot);
            let group = self
                .sim
                .0
                .executor
                .begin(Some(self.life.number), async move {
                    let answer = serving.await.map_err(Unanswered::Failed);
                    place.borrow_mut().put(answer);
                });
            let mut calls = self.life.calls.borrow_mut();
            calls.push((group, Rc::clone(&slot)));
        }
        let client = Client(slot);
        poll_fn(move |context| {
            let mut slot = client.0.borrow_mut();
            slot.client = Some(context.waker().clone());
            slot.answer.take().map_or(Poll::Pending, Poll::Ready)
        })
    }

    /// It is gone at once with all that it held: nothing of it is dropped. Clients see their connections break.
    pub fn die(&self) {
        self.life.is_over.set(true);
        self.sim.0.executor.lose(self.life.number);
        for (_, slot) in self.life.calls.take() {
            slot.borrow_mut().put(Err(Unanswered::Lost));
        }
        for (_, pipe) in self.life.pipes.take() {
            pipe.borrow_mut().finish(PipeEnd::Cut);
        }
    }

    /// The runtime gives up one of its requests, drawn from those under way: its tasks are dropped where they stand.
    pub fn cancel_one(&self) {
        let executor = &self.sim.0.executor;
        let under_way: Vec<_> = {
            let calls = self.life.calls.borrow();
            let running = calls.iter().filter(|(group, _)| executor.has(*group));
            running.cloned().collect()
        };
        if under_way.is_empty() {
            return;
        }
        let chosen = self.sim.0.chance.borrow_mut().usize(..under_way.len());
        if let Some((group, slot)) = under_way.get(chosen) {
            executor.cancel(*group);
            slot.borrow_mut().put(Err(Unanswered::Lost));
            let pipes = self.life.pipes.borrow();
            for (_, pipe) in pipes.iter().filter(|(owner, _)| owner == group) {
                pipe.borrow_mut().finish(PipeEnd::Cut);
            }
        }
    }
}

impl Slot {
    /// Whoever comes second is late.
    fn put(&mut self, answer: Result<SimResponse, Unanswered>) {
        if self.answer.is_none() && !self.client_has_left {
            self.answer = Some(answer);
        }
        if let Some(client) = self.client.take() {
            client.wake();
        }
    }
}

//! Tasks, and time that goes on to the next moment that anybody waits for, once nobody can go on.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What all of a simulation's tasks share.
#[derive(Default)]
pub(crate) struct Executor {
    now: Cell<Duration>,
    timers: RefCell<Vec<(Duration, Waker)>>,
    spawned: RefCell<Vec<Task>>,
}

struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Running {
    task: Task,
    ready: Arc<Ready>,
}

impl Executor {
    pub fn now(&self) -> Duration {
        self.now.get()
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.spawned.borrow_mut().push(Box::pin(task));
    }

    /// Runs tasks until none is left.
    pub fn run(&self) {
        let mut running: Vec<Running> = Vec::new();
        loop {
            let spawned = self.spawned.take().into_iter();
            running.extend(spawned.map(|task| Running {
                task,
                ready: Arc::new(Ready(AtomicBool::new(true))),
            }));
            if running.is_empty() {
                return;
            }
            let mut has_moved = false;
            running.retain_mut(|one| {
                if !one.ready.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                has_moved = true;
                let waker = Waker::from(Arc::clone(&one.ready));
                let poll = one.task.as_mut().poll(&mut Context::from_waker(&waker));
                poll == Poll::Pending
            });
            if !has_moved && self.spawned.borrow().is_empty() {
                self.go_on();
            }
        }
    }

    /// To the next moment that anybody waits for.
    #[expect(clippy::panic, reason = "the run has failed")]
    fn go_on(&self) {
        let mut timers = self.timers.borrow_mut();
        let Some(next) = timers.iter().map(|(at, _)| *at).min() else {
            panic!("nothing that could ever happen is awaited");
        };
        self.now.set(next.max(self.now.get()));
        timers.retain(|(at, waker)| {
            let is_over = *at <= self.now.get();
            if is_over {
                waker.wake_by_ref();
            }
            !is_over
        });
    }
}

/// Until a moment.
pub(crate) struct Sleep {
    executor: Rc<Executor>,
    until: Duration,
}

impl Sleep {
    pub fn new(executor: Rc<Executor>, duration: Duration) -> Self {
        let until = executor.now().saturating_add(duration);
        Self { executor, until }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.until {
            return Poll::Ready(());
        }
        let timer = (self.until, context.waker().clone());
        self.executor.timers.borrow_mut().push(timer);
        Poll::Pending
    }
}

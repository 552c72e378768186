//! Operations of the runtime that are asked again only when something has happened to them.
//!
//! **Why.** Whoever waits for one of two, a piece or a timer, polls both whenever either stirs. An operation that is still
//! under way registers itself anew each time: a call of the runtime (`waitable.join`) and an entry in a map, for every
//! piece of every stream.
//!
//! **Rule.** The operation is polled at first, and then after its own waker was called alone. **Limit.** It stays in the
//! request whose task polled it first: the runtime wakes that one.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// Whether an operation has something to say.
#[derive(Debug)]
pub struct Gate {
    state: Arc<State>,
    waker: Waker,
}

#[derive(Debug)]
struct State {
    is_open: AtomicBool,
    /// Who polled last.
    outside: Mutex<Option<Waker>>,
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_open.store(true, Ordering::Relaxed);
        let outside = self.outside.lock().ok().and_then(|mut it| it.take());
        if let Some(outside) = outside {
            outside.wake();
        }
    }
}

impl Default for Gate {
    /// For an operation that was not polled yet.
    fn default() -> Self {
        let state = Arc::new(State {
            is_open: AtomicBool::new(true),
            outside: Mutex::default(),
        });
        Self {
            waker: Waker::from(Arc::clone(&state)),
            state,
        }
    }
}

impl Gate {
    /// Polls, if there is a reason to.
    pub fn poll<T>(
        &self,
        context: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Ok(mut outside) = self.state.outside.lock() {
            match &mut *outside {
                Some(outside) => outside.clone_from(context.waker()),
                None => *outside = Some(context.waker().clone()),
            }
        }
        if !self.state.is_open.swap(false, Ordering::Relaxed) {
            return Poll::Pending;
        }
        let output = poll(&mut Context::from_waker(&self.waker));
        // What comes next has not been polled yet.
        if output.is_ready() {
            self.state.is_open.store(true, Ordering::Relaxed);
        }
        output
    }
}

/// The future, polled only when it was woken.
pub async fn gated<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let gate = Gate::default();
    poll_fn(|context| gate.poll(context, |context| future.as_mut().poll(context))).await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Its wakers, one for each time it was polled; ready once it is told so.
    #[derive(Default)]
    struct Operation {
        wakers: RefCell<Vec<Waker>>,
        is_ready: AtomicBool,
    }

    impl Operation {
        fn poll(&self, context: &Context<'_>) -> Poll<()> {
            self.wakers.borrow_mut().push(context.waker().clone());
            if self.is_ready.load(Ordering::Relaxed) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }

        fn polls(&self) -> usize {
            self.wakers.borrow().len()
        }

        fn wake(&self) {
            self.wakers.borrow().last().unwrap().wake_by_ref();
        }
    }

    /// A task that knows whether it was woken.
    #[derive(Default)]
    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_was_not_woken_is_not_polled_again() {
        let operation = Operation::default();
        let mut future = pin!(gated(poll_fn(|context| operation.poll(context))));
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut poll = || future.as_mut().poll(&mut Context::from_waker(&waker));
        for _ in 0..3 {
            assert!(poll().is_pending());
        }
        assert_eq!(operation.polls(), 1);
        operation.wake();
        assert!(task.0.swap(false, Ordering::Relaxed), "its task is woken");
        assert!(poll().is_pending());
        assert_eq!(operation.polls(), 2);
        operation.is_ready.store(true, Ordering::Relaxed);
        operation.wake();
        operation.wake();
        assert!(poll().is_ready());
        assert_eq!(operation.polls(), 3);
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        let (gate, operation) = (Gate::default(), Operation::default());
        let tasks = [Arc::new(Task::default()), Arc::new(Task::default())];
        for task in &tasks {
            let waker = Waker::from(Arc::clone(task));
            let context = Context::from_waker(&waker);
            assert!(
                gate.poll(&context, |context| operation.poll(context))
                    .is_pending()
            );
        }
        operation.wake();
        let woken = tasks.map(|task| task.0.load(Ordering::Relaxed));
        assert_eq!(woken, [false, true]);
    }

    #[test]
    fn what_follows_a_ready_one_is_polled_at_once() {
        let (gate, operation) = (Gate::default(), Operation::default());
        operation.is_ready.store(true, Ordering::Relaxed);
        let context = Context::from_waker(Waker::noop());
        for polls in 1..4 {
            assert!(
                gate.poll(&context, |context| operation.poll(context))
                    .is_ready()
            );
            assert_eq!(operation.polls(), polls);
        }
    }
}

//! Operations of the runtime that are asked again only when something has happened to them.
//!
//! **Why.** Whoever waits for one of two, a piece or a timer, polls both whenever either stirs. An operation that is still
//! under way registers itself anew each time: a call of the runtime (`waitable.join`) and an entry in a map, for every
//! piece of every stream.
//!
//! **Rule.** The operation is polled at first, and then after its own waker was called alone.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Whether an operation has something to say.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Arc<State>,
    waker: Waker,
}

#[derive(Debug)]
struct State {
    is_open: AtomicBool,
    outside: AtomicWaker,
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_open.store(true, Ordering::Relaxed);
        self.outside.wake();
    }
}

impl Gate {
    /// For an operation that was not polled yet.
    pub fn new() -> Self {
        let state = Arc::new(State {
            is_open: AtomicBool::new(true),
            outside: AtomicWaker::new(),
        });
        Self {
            waker: Waker::from(Arc::clone(&state)),
            state,
        }
    }

    /// Polls, if there is a reason to.
    pub fn poll<T>(
        &self,
        context: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.state.outside.register(context.waker());
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
pub(crate) async fn gated<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let gate = Gate::new();
    poll_fn(|context| gate.poll(context, |context| future.as_mut().poll(context))).await
}

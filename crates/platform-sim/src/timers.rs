//! Time, and who waits for which moment.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A clock that goes on to the next moment that anybody waits for.
#[derive(Default)]
pub(crate) struct Timers {
    now: Cell<Duration>,
    waiting: RefCell<BinaryHeap<Reverse<Timer>>>,
    set: Cell<u64>,
}

struct Timer {
    at: Duration,
    /// Of timers for one moment the first that was set fires first.
    number: u64,
    waker: Waker,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl Timers {
    pub fn now(&self) -> Duration {
        self.now.get()
    }

    /// Goes on to the next moment that is awaited, and wakes who waits for it; `false`: nobody waits.
    pub fn go_on(&self) -> bool {
        let Some(next) = self.next() else {
            return false;
        };
        self.now.set(next.max(self.now.get()));
        while self.next().is_some_and(|at| at <= self.now.get()) {
            let due = self.waiting.borrow_mut().pop();
            if let Some(Reverse(timer)) = due {
                timer.waker.wake();
            }
        }
        true
    }

    fn next(&self) -> Option<Duration> {
        let waiting = self.waiting.borrow();
        waiting.peek().map(|Reverse(timer)| timer.at)
    }

    fn wake_at(&self, at: Duration, waker: Waker) {
        let number = self.set.get().wrapping_add(1);
        self.set.set(number);
        let timer = Timer { at, number, waker };
        self.waiting.borrow_mut().push(Reverse(timer));
    }
}

/// Until a moment.
pub(crate) struct Sleep {
    timers: Rc<Timers>,
    until: Duration,
    set_for: Option<Waker>,
}

impl Sleep {
    pub fn new(timers: Rc<Timers>, duration: Duration) -> Self {
        let until = timers.now().saturating_add(duration);
        Self {
            timers,
            until,
            set_for: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.timers.now() >= self.until {
            return Poll::Ready(());
        }
        let waker = context.waker();
        let is_set = self
            .set_for
            .as_ref()
            .is_some_and(|set_for| set_for.will_wake(waker));
        if !is_set {
            self.timers.wake_at(self.until, waker.clone());
            self.set_for = Some(waker.clone());
        }
        Poll::Pending
    }
}

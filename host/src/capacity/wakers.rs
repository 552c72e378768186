//! Wakes the instances of a component, so that those look again whether they take requests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;

/// So often at most, however many requests wait: to wake a thousand instances costs a thread a millisecond.
const PAUSE: Duration = Duration::from_millis(10);

/// The instances that can be woken.
#[derive(Debug, Default)]
pub struct Wakers {
    next: AtomicU64,
    last: Mutex<Option<Instant>>,
    all: Mutex<HashMap<u64, Arc<AtomicWaker>>>,
}

/// One instance's; it is woken no more when this is dropped.
#[derive(Debug)]
pub struct WakerOf {
    wakers: Arc<Wakers>,
    number: u64,
    waker: Arc<AtomicWaker>,
}

impl Wakers {
    /// For a new instance.
    pub fn enter(self: &Arc<Self>) -> WakerOf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let waker = Arc::new(AtomicWaker::new());
        self.lock().insert(number, Arc::clone(&waker));
        WakerOf {
            wakers: Arc::clone(self),
            number,
            waker,
        }
    }

    /// Wakes all, unless that has just been done.
    pub fn wake(&self) {
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| last.elapsed() < PAUSE) {
                return;
            }
            *last = Some(Instant::now());
        }
        for waker in self.lock().values() {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<AtomicWaker>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WakerOf {
    /// Says whom to wake.
    pub fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }
}

impl Drop for WakerOf {
    fn drop(&mut self) {
        self.wakers.lock().remove(&self.number);
    }
}

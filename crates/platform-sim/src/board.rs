//! What wakers know: which group is at work, and who was woken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

/// Tasks that the runtime runs together: those of one request in a component, or of one peer outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(crate) u64);

/// Nobody: the runtime itself.
const NOBODY: u64 = 0;

/// Set in the numbers of groups that are outside: clients, upstreams, and whoever plays fate.
const OUTSIDE: u64 = 1 << 63;

impl GroupId {
    pub(crate) const fn new(number: u64, is_outside: bool) -> Self {
        Self(if is_outside { number | OUTSIDE } else { number })
    }

    pub(crate) const fn is_outside(self) -> bool {
        self.0 & OUTSIDE != 0
    }
}

/// Who is at work.
#[derive(Debug, Default)]
pub(crate) struct Board {
    current: AtomicU64,
    /// How often anything was woken.
    wakes: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Board {
    pub fn begin(&self, group: GroupId) {
        self.current.store(group.0, Ordering::Relaxed);
    }

    pub fn end(&self) {
        self.current.store(NOBODY, Ordering::Relaxed);
    }

    /// A place in the queue of what is to be polled: the later, the larger.
    pub fn place(&self) -> u64 {
        self.wakes.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub fn current(&self) -> Option<GroupId> {
        let current = self.current.load(Ordering::Relaxed);
        (current != NOBODY).then_some(GroupId(current))
    }

    /// What no runtime would have done.
    pub fn fault(&self, fault: String) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(fault);
    }

    pub fn faults(&self) -> Vec<String> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.clone()
    }
}

/// A task's waker.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    pub group: GroupId,
    pub board: Arc<Board>,
    /// Its place in the queue since it was woken; none: 0.
    woken: AtomicU64,
}

impl TaskWaker {
    pub fn new(group: GroupId, board: Arc<Board>) -> Self {
        let woken = AtomicU64::new(0);
        Self {
            group,
            board,
            woken,
        }
    }

    /// Its place in the queue, where it was woken.
    pub fn place(&self) -> Option<u64> {
        let place = self.woken.load(Ordering::Relaxed);
        (place > 0).then_some(place)
    }

    /// It is being polled.
    pub fn clear(&self) {
        self.woken.store(0, Ordering::Relaxed);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // One request's task cannot wake another's: wit-bindgen's waker has no stream to write to, and traps.
        if let Some(current) = self.board.current()
            && current != self.group
            && !current.is_outside()
            && !self.group.is_outside()
        {
            self.board.fault(format!(
                "a request's task ({}) woke another's ({}), which traps in a component",
                current.0, self.group.0
            ));
        }
        if self.place().is_none() {
            self.woken.store(self.board.place(), Ordering::Relaxed);
        }
    }
}

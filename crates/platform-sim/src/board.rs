//! What wakers know: which group is at work, and who was woken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

/// Tasks that the runtime runs together: those of one request in a component, or of one peer outside.
///
/// The lower half is a number of its own, the upper half that of its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(u64);

/// Nobody: the runtime itself.
const NOBODY: u64 = 0;

/// Set in the numbers of groups that are outside: clients, upstreams, and whoever plays fate.
const OUTSIDE: u64 = 1 << 63;

impl GroupId {
    /// A request's, in the instance of this number; outside, where there is none.
    pub(crate) fn new(number: u32, instance: Option<u32>) -> Self {
        let place = instance.map_or(OUTSIDE, |instance| u64::from(instance) << 32);
        Self(place | u64::from(number))
    }

    /// Where what it spawns waits for its beginning: an instance has one place for all of its requests.
    pub(crate) const fn spawns_in(self) -> u64 {
        if self.is_outside() {
            self.0
        } else {
            self.0 >> 32
        }
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
    /// From now on this group is at work, or nobody. Returns who was.
    pub fn put(&self, group: Option<GroupId>) -> Option<GroupId> {
        let group = group.map_or(NOBODY, |group| group.0);
        let former = self.current.swap(group, Ordering::Relaxed);
        (former != NOBODY).then_some(GroupId(former))
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
                current.0 & u64::from(u32::MAX),
                self.group.0 & u64::from(u32::MAX)
            ));
        }
        if self.place().is_none() {
            self.woken.store(self.board.place(), Ordering::Relaxed);
        }
    }
}

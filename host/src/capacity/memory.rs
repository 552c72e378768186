//! How much memory all instances may hold between them.
//!
//! **Rule.** Counted are the linear memories of all instances, and what bodies that were let in are still to bring. A
//! request whose body would go beyond the budget is refused before the body is read, and while the instances alone are
//! beyond it, every request with a body. One without goes on.
//! **Guarantee.** Guests are never denied memory, which would trap them and end the streams of all their neighbours. So
//! the budget is passed by as much as the requests under way still ask for: their answers, and copies of their bodies.
//! **Cost.** Two additions where an instance grows, and two a large body.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

/// Bodies up to this are not worth a reservation.
const SMALL_BODY: u64 = 64 * 1024;

/// The most that one body reserves: what a component reads of one by default (`max_body_size`). Larger ones are
/// handed on piece by piece.
const MAX_RESERVATION: u64 = 64 * 1024 * 1024;

/// What all instances hold, and may hold.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: u64,
    held: AtomicU64,
}

/// What a body is still to bring.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    left: u64,
}

/// What one instance holds.
#[derive(Debug)]
pub struct InstanceMemory {
    budget: Arc<MemoryBudget>,
    held: u64,
}

impl MemoryBudget {
    /// `limit` in bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            held: AtomicU64::new(0),
        }
    }

    /// Lets a body of this length in (0 where it does not tell one); `None` where there is no room.
    pub fn reserve(self: &Arc<Self>, length: u64) -> Option<Reservation> {
        let left = if length > SMALL_BODY {
            length.min(MAX_RESERVATION)
        } else {
            0
        };
        let before = self.held.fetch_add(left, Ordering::Relaxed);
        let reservation = Reservation {
            budget: Arc::clone(self),
            left,
        };
        (before.saturating_add(left) <= self.limit).then_some(reservation)
    }

    /// For a new instance.
    pub fn instance(self: &Arc<Self>) -> InstanceMemory {
        InstanceMemory {
            budget: Arc::clone(self),
            held: 0,
        }
    }

    /// What is held and reserved, in bytes.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

impl Reservation {
    /// So many bytes of the body have come: whoever keeps them is counted elsewhere.
    pub fn arrived(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).min(self.left);
        self.left = self.left.saturating_sub(bytes);
        self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.left, Ordering::Relaxed);
    }
}

impl ResourceLimiter for InstanceMemory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        self.held = self.held.saturating_add(more);
        self.budget.held.fetch_add(more, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

impl Drop for InstanceMemory {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// Half of what the machine, or the container, has: `/sys/fs/cgroup/memory.max` (cgroup v2), `/proc/meminfo`. 1 GiB
/// where neither tells.
pub fn default_budget() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| total_of_meminfo(&text));
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    let all = machine.into_iter().chain(container).min();
    all.map_or(1 << 30, |all| all >> 1)
}

fn total_of_meminfo(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn bodies_and_instances_share_it() {
        let budget = Arc::new(MemoryBudget::new(100 * MIB));
        let mut instance = budget.instance();
        assert!(instance.memory_growing(0, 70 << 20, None).unwrap());
        let mut body = budget.reserve(20 * MIB).unwrap();
        assert!(budget.reserve(20 * MIB).is_none());
        assert!(budget.reserve(100).is_some(), "a small one goes on");
        body.arrived(15 << 20);
        assert_eq!(budget.held(), 75 * MIB);
        drop(body);
        drop(instance);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_guest_is_never_denied_memory_but_then_nobody_gets_in() {
        let budget = Arc::new(MemoryBudget::new(MIB));
        let mut instance = budget.instance();
        assert!(instance.memory_growing(0, 2 << 20, None).unwrap());
        assert!(budget.reserve(0).is_none());
        drop(instance);
        assert!(budget.reserve(0).is_some());
    }

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(
            total_of_meminfo("MemTotal:       24689764 kB\nMemFree: 1 kB\n"),
            Some(24_689_764 * 1024)
        );
    }
}

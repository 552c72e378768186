//! How much memory all instances may hold between them.
//!
//! **Rule.** Counted are the linear memories of all instances: what is really held, never what a client merely says it
//! will send. While they are beyond the budget, a request whose body is above 64 KiB, or of unknown length, is refused
//! before the body is read; one of unknown length that was let in ends when it has brought more than that, one of known
//! length when the budget is passed by half. An answer that a component reads whole is not begun if it says
//! that it is above a MiB, and ends at its next full MiB if it says nothing. All others go on.
//! **Guarantee.** Guests are never denied memory, which would trap them and end the streams of all their neighbours. So
//! the budget is passed by what they make of the bodies that they have, which is a few times as much. An answer that
//! says how long it is takes its memory, and so counts, when it begins. Each instance has a bound of its own for bodies
//! in hand besides.
//! **Cost.** An addition where an instance grows, a comparison a body.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

/// Bodies up to this always come in.
pub const SMALL_BODY: u64 = 64 * 1024;

/// What all instances hold, and may hold.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: u64,
    held: AtomicU64,
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

    /// Whether a body of this length may come in; `None` where it does not tell one.
    pub fn admits(&self, length: Option<u64>) -> bool {
        length.is_some_and(|length| length <= SMALL_BODY) || !self.is_exceeded()
    }

    /// Whether instances hold more than they should.
    pub fn is_exceeded(&self) -> bool {
        self.held() > self.limit
    }

    /// Whether they hold half as much again, so that even what was let in must end.
    pub fn is_far_exceeded(&self) -> bool {
        self.held() > self.limit.saturating_add(self.limit / 2)
    }

    /// For a new instance.
    pub fn instance(self: &Arc<Self>) -> InstanceMemory {
        InstanceMemory {
            budget: Arc::clone(self),
            held: 0,
        }
    }

    /// What is held, in bytes.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

impl InstanceMemory {
    /// Whether all instances together hold more than they should.
    pub fn is_short(&self) -> bool {
        self.budget.is_exceeded()
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

/// Half of what the machine, or the container or service, has: `memory.max` of the process' cgroup and of those above it
/// (cgroups(7), version 2), `/proc/meminfo`. 1 GiB where none tells.
pub fn default_budget() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| total_of_meminfo(&text));
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let groups = Path::new("/sys/fs/cgroup").join(own.unwrap_or_default());
    let limits = groups.ancestors().filter_map(|group| {
        let limit = std::fs::read_to_string(group.join("memory.max")).ok()?;
        limit.trim().parse::<u64>().ok()
    });
    let all = machine.into_iter().chain(limits).min();
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
    fn a_guest_is_never_denied_memory_but_then_no_large_body_gets_in() {
        let budget = Arc::new(MemoryBudget::new(MIB));
        let mut instance = budget.instance();
        assert!(
            budget.admits(Some(100 * MIB)),
            "what is only announced is not held"
        );
        assert!(instance.memory_growing(0, 2 << 20, None).unwrap());
        assert!(!budget.admits(Some(SMALL_BODY + 1)) && !budget.admits(None));
        assert!(budget.admits(Some(SMALL_BODY)));
        drop(instance);
        assert!(budget.admits(None));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(
            total_of_meminfo("MemTotal:       24689764 kB\nMemFree: 1 kB\n"),
            Some(24_689_764 * 1024)
        );
    }
}

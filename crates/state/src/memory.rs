//! The limits' script as a model in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::sub_windows::{self, SUB_WINDOWS, SubWindows};
use spillway_platform::{
    Admission, Counted, Hold, HoldCount, LEASE_MS, LeaseName, NewValues, Take, Taken,
};

/// Does what [`LIMIT_TAKE_V3`](crate::LIMIT_TAKE_V3) does, with a clock that is given to it. For tests: nothing
/// expires here, and another process knows nothing of it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    /// By key and sub-window.
    counts: BTreeMap<String, BTreeMap<u64, u64>>,
    /// By key and lease: when it ends.
    leases: BTreeMap<String, BTreeMap<String, u64>>,
    /// By client and second: what its new values cost.
    costs: BTreeMap<(String, u64), u64>,
}

impl MemoryStore {
    /// Takes one request's place from every rule, or from none.
    pub fn take(&mut self, now_ms: u64, takes: &[Take]) -> Taken {
        self.take_bounded(now_ms, takes, None)
    }

    /// As [`Self::take`], with this bound on new values.
    pub fn take_bounded(
        &mut self,
        now_ms: u64,
        takes: &[Take],
        new_values: Option<&NewValues>,
    ) -> Taken {
        self.take_all(now_ms, takes, &[], &LeaseName(String::new()), new_values)
    }

    /// Takes one request's place from every rule, those on what is under way among them, or from none.
    pub fn take_and_hold(
        &mut self,
        now_ms: u64,
        takes: &[Take],
        holds: &[Hold],
        lease: &LeaseName,
    ) -> Taken {
        self.take_all(now_ms, takes, holds, lease, None)
    }

    /// As the port has it.
    pub fn admit(&mut self, now_ms: u64, asked: Admission<'_>) -> Taken {
        let Admission {
            takes,
            holds,
            lease,
            new_values,
        } = asked;
        self.take_all(now_ms, takes, holds, lease, new_values)
    }

    fn take_all(
        &mut self,
        now_ms: u64,
        takes: &[Take],
        holds: &[Hold],
        lease: &LeaseName,
        new_values: Option<&NewValues>,
    ) -> Taken {
        let read: Vec<(SubWindows, bool)> = takes
            .iter()
            .map(|take| {
                let windows = self.read(now_ms, take);
                let full = windows.used() >= u64::from(take.limit);
                (windows, full)
            })
            .collect();
        let under_way: Vec<(u64, bool)> = holds
            .iter()
            .map(|hold| {
                let under_way = self.under_way(now_ms, &hold.key);
                (under_way, under_way >= u64::from(hold.limit))
            })
            .collect();
        let windows_pass = takes
            .iter()
            .zip(&read)
            .all(|(take, (_, full))| take.dry_run || !full);
        let holds_pass = holds
            .iter()
            .zip(&under_way)
            .all(|(hold, (_, full))| hold.dry_run || !full);
        let mut passes = windows_pass && holds_pass;
        let new = takes.iter().zip(&read);
        let new = new.filter(|(take, (windows, _))| take.cost_when_new > 0 && windows.used() == 0);
        let cost = new
            .clone()
            .map(|(take, _)| u64::from(take.cost_when_new))
            .max();
        let too_many = passes && self.costs_too_much(now_ms, cost, new_values);
        let too_many_new = too_many && new.clone().any(|(take, _)| !take.dry_run);
        passes &= !too_many_new;
        let counts = takes.iter().zip(read).map(|(take, (mut windows, full))| {
            let is_new = take.cost_when_new > 0 && windows.used() == 0;
            if passes && !full && !(too_many && is_new) {
                let count = windows.current_count().saturating_add(1);
                windows.set_current(count);
                self.write(take, windows.current(), count);
            }
            windows.count(now_ms, take.limit, full)
        });
        let counts = counts.collect();
        let held = holds.iter().zip(under_way).map(|(hold, (count, full))| {
            let mut count = count;
            if passes && !full {
                count = count.saturating_add(1);
                self.hold(now_ms, &hold.key, lease);
            }
            HoldCount {
                under_way: count,
                full,
            }
        });
        let holds = held.collect();
        Taken {
            passes,
            too_many_new,
            counts,
            holds,
        }
    }

    /// Books what a request's new values cost, unless that is too much.
    fn costs_too_much(
        &mut self,
        now_ms: u64,
        cost: Option<u64>,
        new_values: Option<&NewValues>,
    ) -> bool {
        let (Some(cost), Some(new_values)) = (cost, new_values) else {
            return false;
        };
        let second = now_ms.checked_div(1000).unwrap_or_default();
        let costs = self.costs.entry((new_values.key.clone(), second));
        let costs = costs.or_default();
        let sum = costs.saturating_add(cost);
        if sum > u64::from(new_values.allowance) {
            return true;
        }
        *costs = sum;
        false
    }

    /// Takes back what one request was counted in.
    pub fn forget(&mut self, counted: &[Counted]) {
        for Counted { take, sub_window } in counted {
            let Some(counts) = self.counts.get_mut(&take.key) else {
                continue;
            };
            if let Some(count) = counts.get_mut(sub_window) {
                *count = count.saturating_sub(1);
            }
            counts.retain(|_, count| *count > 0);
        }
    }

    /// Renews a lease.
    pub fn renew(&mut self, now_ms: u64, holds: &[Hold], lease: &LeaseName) {
        for hold in holds {
            self.hold(now_ms, &hold.key, lease);
        }
    }

    /// Gives a lease up.
    pub fn release(&mut self, holds: &[Hold], lease: &LeaseName) {
        for hold in holds {
            if let Some(leases) = self.leases.get_mut(&hold.key) {
                leases.remove(&lease.0);
            }
        }
    }

    fn under_way(&self, now_ms: u64, key: &str) -> u64 {
        let leases = self.leases.get(key).into_iter().flat_map(BTreeMap::values);
        let running = leases.filter(|until| **until > now_ms).count();
        u64::try_from(running).unwrap_or(u64::MAX)
    }

    fn hold(&mut self, now_ms: u64, key: &str, lease: &LeaseName) {
        self.leases
            .entry(key.to_owned())
            .or_default()
            .insert(lease.0.clone(), now_ms.saturating_add(LEASE_MS));
    }

    /// How many sub-windows a key has. Never more than seven, however long it is used.
    pub fn sub_windows(&self, key: &str) -> usize {
        self.counts.get(key).map_or(0, BTreeMap::len)
    }

    fn read(&self, now_ms: u64, take: &Take) -> SubWindows {
        let counts = self.counts.get(&take.key);
        let clock = sub_windows::index(now_ms, take.window_ms);
        // After a small step back of the clock the newest sub-window stays the current one.
        let newest = counts
            .into_iter()
            .flat_map(BTreeMap::keys)
            .copied()
            .filter(|index| *index <= clock.saturating_add(SUB_WINDOWS))
            .max();
        let current = newest.map_or(clock, |newest| newest.max(clock));
        let count = |index| counts.and_then(|counts| counts.get(&index)).copied();
        let read = SubWindows::read(take.window_ms, current, |index| {
            Ok::<_, Infallible>(count(index).unwrap_or(0))
        });
        match read {
            Ok(read) => read,
        }
    }

    fn write(&mut self, take: &Take, current: u64, count: u64) {
        let counts = self.counts.entry(take.key.clone()).or_default();
        let oldest = current.saturating_sub(SUB_WINDOWS);
        counts.retain(|index, _| (oldest..=current).contains(index));
        counts.insert(current, count);
    }
}

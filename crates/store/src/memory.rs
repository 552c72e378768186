//! The limits' script as a model in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::sub_windows::{self, SUB_WINDOWS, SubWindows};
use crate::{Take, Taken};

/// Does what [`LIMIT_TAKE_V1`](crate::LIMIT_TAKE_V1) does, with a clock that is given to it. For tests: nothing
/// expires here, and another process knows nothing of it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    /// By key and sub-window.
    counts: BTreeMap<String, BTreeMap<u64, u64>>,
}

impl MemoryStore {
    /// Takes one request's place from every rule, or from none.
    pub fn take(&mut self, now_ms: u64, takes: &[Take]) -> Taken {
        let read: Vec<(SubWindows, bool)> = takes
            .iter()
            .map(|take| {
                let windows = self.read(now_ms, take);
                let full = windows.used() >= u64::from(take.limit);
                (windows, full)
            })
            .collect();
        let passes = takes
            .iter()
            .zip(&read)
            .all(|(take, (_, full))| take.dry_run || !full);
        let counts = takes.iter().zip(read).map(|(take, (mut windows, full))| {
            if passes && !full {
                let count = windows.current_count().saturating_add(1);
                windows.set_current(count);
                self.write(take, windows.current(), count);
            }
            windows.count(now_ms, take.limit, full)
        });
        let counts = counts.collect();
        Taken { passes, counts }
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

//! The sliding window: six sub-windows, each of which counts in full for as long as any of it lies in the window.
//!
//! So never more than the limit pass in any window, wherever it begins, and a place becomes free at most a sixth
//! of the window later than it might.

use spillway_platform::{Charge, Charged};

/// How many make up a window.
pub(crate) const SUB_WINDOWS: u64 = 6;

/// How many lie, in whole or in part, in the time up to now: one more than make up a window.
const COUNTED: usize = 7;

/// The number of the sub-window in which `now_ms` is, counted from 1970.
pub(crate) fn index(now_ms: u64, window_ms: u64) -> u64 {
    now_ms
        .saturating_mul(SUB_WINDOWS)
        .checked_div(window_ms)
        .unwrap_or(0)
}

/// The first millisecond at which no window has any of a sub-window in it.
pub(crate) fn counted_until_ms(index: u64, window_ms: u64) -> u64 {
    index
        .saturating_add(SUB_WINDOWS)
        .saturating_add(1)
        .saturating_mul(window_ms)
        .div_ceil(SUB_WINDOWS)
}

/// What is charged in the sub-windows that count now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubWindows {
    window_ms: u64,
    /// The number of the last of them.
    current: u64,
    /// Oldest first.
    counts: [u64; COUNTED],
}

impl SubWindows {
    /// Asks `count` for each sub-window, the oldest first.
    pub fn read<E>(
        window_ms: u64,
        current: u64,
        mut count: impl FnMut(u64) -> Result<u64, E>,
    ) -> Result<Self, E> {
        let mut counts = [0; COUNTED];
        for (index, slot) in indexes(current).zip(&mut counts) {
            // Before 1970 there was nothing.
            if let Some(index) = index {
                *slot = count(index)?;
            }
        }
        Ok(Self {
            window_ms,
            current,
            counts,
        })
    }

    /// How much is charged in the window.
    pub fn used(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The number of the current sub-window.
    pub const fn current(&self) -> u64 {
        self.current
    }

    /// Replaces the count of the current sub-window.
    pub fn set_current(&mut self, count: u64) {
        let [.., current] = &mut self.counts;
        *current = count;
    }

    /// The count of the current sub-window.
    pub const fn current_count(&self) -> u64 {
        let [.., current] = self.counts;
        current
    }

    /// What is told of a rule, of which so much is reserved beside.
    pub fn charged(&self, now_ms: u64, charge: &Charge, reserved: u64, full: bool) -> Charged {
        let used = self.used().saturating_add(reserved);
        Charged {
            used,
            reserved,
            remaining: charge.limit.saturating_sub(used),
            reset_ms: self.reset_ms(now_ms, charge, reserved, full),
            full,
            sub_window: self.current,
            passed_over: false,
        }
    }

    /// The same where nothing is asked for. Where what is reserved fills the limit nobody knows when some is free.
    pub fn standing(&self, now_ms: u64, charge: &Charge, reserved: u64) -> Charged {
        let mut charged = self.charged(now_ms, charge, reserved, false);
        if reserved >= charge.limit {
            charged.reset_ms = 0;
        }
        charged
    }

    /// Until more may pass than now, or, where it had no room, until this charge has. 0 where nothing has passed.
    fn reset_ms(&self, now_ms: u64, charge: &Charge, reserved: u64, full: bool) -> u64 {
        let used = self.used();
        let wanted = if full {
            charge.limit.saturating_sub(charge.cost.max(1))
        } else {
            let with_reserved = used.saturating_add(reserved);
            with_reserved.min(charge.limit).saturating_sub(1)
        };
        // Of what is reserved nobody knows when it ends.
        if used == 0 || (full && wanted < reserved) {
            return 0;
        }
        let wanted = wanted.saturating_sub(reserved);
        let mut left = used;
        for (index, count) in indexes(self.current).zip(self.counts) {
            left = left.saturating_sub(count);
            if let Some(index) = index.filter(|_| left <= wanted) {
                return counted_until_ms(index, self.window_ms).saturating_sub(now_ms);
            }
        }
        0
    }
}

/// The sub-windows that count while `current` is the last, the oldest first.
fn indexes(current: u64) -> impl Iterator<Item = Option<u64>> {
    (0..=SUB_WINDOWS)
        .rev()
        .map(move |back| current.checked_sub(back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_window_counts_until_no_window_has_any_of_it() {
        for window_ms in [1_000, 60_000, 3_600_000, 86_400_000, 7, 1_001] {
            for start in [0, 1_700_000_000_000_u64, 1_699_999_999_999] {
                for now in (start..start + 2_000).chain([start + window_ms * 3 / 2]) {
                    let until = counted_until_ms(index(now, window_ms), window_ms);
                    // Not before the window that begins here is over, and at most a sixth later.
                    assert!(until >= now + window_ms, "{now} in {window_ms}");
                    assert!(
                        until <= now + (window_ms * 7).div_ceil(6),
                        "{now} in {window_ms}"
                    );
                    assert_eq!(
                        index(until, window_ms),
                        index(now, window_ms) + SUB_WINDOWS + 1
                    );
                }
            }
        }
    }
}

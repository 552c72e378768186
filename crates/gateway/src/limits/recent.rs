//! Which keys requests are counted under: told to the index, for whoever looks at limits.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use spillway_limit::Applicable;
use spillway_platform::{Admitted, IndexedLimit, MAX_INDEXED_LIMITS, Platform};

use super::Limits;

/// How often a key is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// When this instance has told each key last.
#[derive(Debug, Default)]
pub(super) struct RecentKeys(Mutex<BTreeMap<String, Duration>>);

impl RecentKeys {
    /// Whether a key is to be told now. Of more keys than the index has room for, those are that come first.
    fn is_due(&self, now: Duration, key: &str) -> bool {
        let Ok(mut told) = self.0.lock() else {
            return false;
        };
        if let Some(at) = told.get_mut(key) {
            let is_due = now.saturating_sub(*at) >= TOLD_EVERY;
            if is_due {
                *at = now;
            }
            return is_due;
        }
        if told.len() >= MAX_INDEXED_LIMITS {
            told.retain(|_, at| now.saturating_sub(*at) < TOLD_EVERY);
        }
        let has_room = told.len() < MAX_INDEXED_LIMITS;
        if has_room {
            told.insert(key.to_owned(), now);
        }
        has_room
    }
}

impl<P: Platform> Limits<P> {
    /// Tells the index which keys a request is counted under, off its path and once in a while.
    pub(super) fn index(&self, applicable: &Applicable<'_>, admitted: &Admitted) {
        let now = self.platform.now();
        let due = applicable.descriptions(admitted, |key| self.recent.is_due(now, key));
        let limits = due.into_iter().filter_map(|(charge, description)| {
            let description = serde_json::to_string(&description).ok()?;
            let key = charge.key.clone();
            Some(IndexedLimit { key, description })
        });
        self.meter.index(limits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_at_once_and_again_after_a_while() {
        let recent = RecentKeys::default();
        let at = Duration::from_secs;
        assert!(recent.is_due(at(100), "a") && !recent.is_due(at(109), "a"));
        assert!(recent.is_due(at(110), "a") && !recent.is_due(at(119), "a"));
        for number in 1..MAX_INDEXED_LIMITS {
            assert!(recent.is_due(at(112), &number.to_string()));
        }
        assert!(!recent.is_due(at(113), "one too many"));
        assert!(recent.is_due(at(122), "one too many"));
    }
}

//! The index of limits' keys, and where these stand: for whoever looks at limits, off the path of requests.
//!
//! **Rule.** Instances tell under which keys they count, each key every ten seconds at most; the index keeps the thousand
//! that were told last, and none for longer than two days. **Cost.** A reader gets the index whole and asks for what it wants
//! to know of, a hundred keys a call: Redis is never scanned, nor held up for long.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use spillway_platform::{Charge, Charged, IndexedLimit, LIMIT_KEY_PREFIX, MAX_INDEXED_LIMITS};

use crate::Error;
use crate::charge::reservations_key;

/// Adds to the index; arguments are [`limit_index_arguments`]'. Answers 1.
pub const LIMIT_INDEX_V1: &str = include_str!("limit_index_v1.lua");

/// Reads where limits stand; arguments are [`limit_read_arguments`]', and the answer is for [`read_limit_standings`].
pub const LIMIT_READ_V1: &str = include_str!("limit_read_v1.lua");

/// So many keys are read in one call.
pub(crate) const READ_AT_ONCE: usize = 100;

/// What nobody uses for so long is forgotten: two days, as the longest window is one.
const INDEX_TTL_SECONDS: u64 = 2 * 24 * 60 * 60;

/// The index: a Redis hash, or a key-value entry of lines.
pub(crate) fn index_key() -> String {
    format!("{LIMIT_KEY_PREFIX}index")
}

/// What `EVAL` gets after [`LIMIT_INDEX_V1`]. `now` is seconds since 1970, for tests; `None` has the script ask Redis for
/// the time.
pub fn limit_index_arguments(limits: &[IndexedLimit], now: Option<u64>) -> Vec<String> {
    let key = index_key();
    let mut arguments = vec![
        "2".to_owned(),
        key.clone(),
        format!("{key}:used"),
        now.map_or_else(String::new, |now| now.to_string()),
        MAX_INDEXED_LIMITS.to_string(),
        INDEX_TTL_SECONDS.to_string(),
    ];
    for limit in limits {
        arguments.extend([limit.key.clone(), limit.description.clone()]);
    }
    arguments
}

/// What `EVAL` gets after [`LIMIT_READ_V1`]. `now_ms` is for tests.
pub fn limit_read_arguments(charges: &[Charge], now_ms: Option<u64>) -> Vec<String> {
    let mut keys = Vec::new();
    let mut rules = Vec::new();
    for charge in charges {
        keys.push(charge.key.clone());
        let kind = if charge.is_in_flight() {
            "flight"
        } else if charge.is_reserved() {
            keys.push(reservations_key(charge));
            "reserved"
        } else {
            "counted"
        };
        let window_ms = charge.window_ms().unwrap_or_default();
        rules.extend([
            kind.to_owned(),
            charge.limit.to_string(),
            window_ms.to_string(),
        ]);
    }
    let mut arguments = vec![keys.len().to_string()];
    arguments.extend(keys);
    arguments.push(now_ms.map_or_else(String::new, |now_ms| now_ms.to_string()));
    arguments.extend(rules);
    arguments
}

/// Reads [`LIMIT_READ_V1`]'s answer for these [`Charge`]s.
///
/// # Errors
/// [`Error::Answer`] where it is not what the script answers.
pub fn read_limit_standings(answer: &[i64], charges: &[Charge]) -> Result<Vec<Charged>, Error> {
    let (standings, rest) = answer.as_chunks::<4>();
    if !rest.is_empty() || standings.len() != charges.len() {
        return Err(Error::Answer);
    }
    let natural = |number: i64| u64::try_from(number).map_err(|_| Error::Answer);
    let standings = standings.iter().zip(charges).map(|(standing, charge)| {
        let [used, reserved, reset_ms, sub_window] = *standing;
        let used = natural(used)?;
        Ok(Charged {
            used,
            reserved: natural(reserved)?,
            remaining: charge.limit.saturating_sub(used),
            reset_ms: natural(reset_ms)?,
            sub_window: natural(sub_window)?,
            ..Charged::default()
        })
    });
    standings.collect()
}

/// The index as one entry of a key-value store, or in memory: a line a key, `second key description`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LimitIndex(BTreeMap<String, (u64, String)>);

impl LimitIndex {
    /// Lines that are none are passed over.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().filter_map(|line| {
            let (used, rest) = line.split_once(' ')?;
            let (key, description) = rest.split_once(' ')?;
            let used = (used.parse().ok()?, description.to_owned());
            Some((key.to_owned(), used))
        });
        Self(lines.collect())
    }

    /// Adds these at `now`, in seconds, and forgets what is too old, or more than `max`.
    pub fn add(&mut self, limits: &[IndexedLimit], now: u64, max: usize) {
        for limit in limits {
            // A line is one.
            let description = limit.description.replace('\n', " ");
            self.0.insert(limit.key.clone(), (now, description));
        }
        let oldest = now.saturating_sub(INDEX_TTL_SECONDS);
        self.0.retain(|_, (used, _)| *used > oldest);
        let excess = self.0.len().saturating_sub(max);
        if excess > 0 {
            let mut by_age: Vec<(u64, String)> = self
                .0
                .iter()
                .map(|(key, (used, _))| (*used, key.clone()))
                .collect();
            by_age.sort();
            for (_, key) in by_age.into_iter().take(excess) {
                self.0.remove(&key);
            }
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut text = String::new();
        for (key, (used, description)) in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{used} {key} {description}");
        }
        text.into_bytes()
    }

    pub fn into_limits(self) -> Vec<IndexedLimit> {
        let limits = self.0.into_iter();
        limits
            .map(|(key, (_, description))| IndexedLimit { key, description })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(key: &str) -> IndexedLimit {
        IndexedLimit {
            key: key.to_owned(),
            description: format!("{{\"of\": \"{key} and more\"}}"),
        }
    }

    #[test]
    fn what_is_read_was_written_and_what_is_old_or_too_much_goes() {
        let mut index = LimitIndex::default();
        let max = MAX_INDEXED_LIMITS;
        index.add(&[limit("a"), limit("b")], 1_000, max);
        assert_eq!(LimitIndex::read(&index.write()), index);
        assert_eq!(LimitIndex::read(b"no line\nx y z\n"), LimitIndex::default());
        index.add(&[limit("b")], 2_000, max);
        index.add(&[], 1_000 + INDEX_TTL_SECONDS, max);
        assert_eq!(index.clone().into_limits(), [limit("b")]);
        let many: Vec<_> = (0..MAX_INDEXED_LIMITS)
            .map(|number| limit(&number.to_string()))
            .collect();
        index.add(&many, 3_000, max);
        assert_eq!(index.into_limits().len(), MAX_INDEXED_LIMITS);
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        for answer in [&[1][..], &[1, 2, 3, 4], &[-1, 0, 0, 0]] {
            let charges: &[Charge] = if answer.len() == 4 && answer.first() == Some(&1) {
                &[]
            } else {
                &[Charge {
                    key: "a".to_owned(),
                    cost: 0,
                    limit: 9,
                    mode: spillway_platform::Mode::InFlight,
                    dry_run: false,
                }]
            };
            assert!(read_limit_standings(answer, charges).is_err(), "{answer:?}");
        }
    }
}

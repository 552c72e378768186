//! What calls of one kind have used: a histogram in which old observations fade.
//!
//! **Rule.** An amount counts in a bucket an eighth of an octave wide. Where there are [`FADES_AT`] observations all
//! buckets are halved, and empty ones go: what was seen long ago weighs less and less. The 95th percentile is the upper
//! edge of the highest bucket above which lie no more than 5 %. **Guarantee.** It is at most an eighth too high, and never
//! too low. **Cost.** Some 20 fields a key, a percentile made when an amount is added and read as it stands.

use std::collections::BTreeMap;

use spillway_platform::{USAGE_KEY_PREFIX, UsageProfile};

/// Adds an amount; arguments are [`usage_observe_arguments`]'. Answers 1.
pub const USAGE_OBSERVE_V1: &str = include_str!("usage_observe_v1.lua");

/// At so many observations all are halved.
const FADES_AT: u64 = 512;

/// What nobody uses for so long is forgotten: a week.
const USAGE_TTL_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// The fields of what is read: how many observations, and the bucket of the 95th percentile.
const READ_FIELDS: [&str; 2] = ["n", "p"];

/// What `EVAL` gets after [`USAGE_OBSERVE_V1`].
pub fn usage_observe_arguments(name: &str, amount: u64) -> Vec<String> {
    vec![
        "1".to_owned(),
        usage_key(name),
        bucket_of(amount).to_string(),
        FADES_AT.to_string(),
        USAGE_TTL_MS.to_string(),
    ]
}

/// What `HMGET` gets, which answers two numbers, or nothing.
pub fn usage_profile_arguments(name: &str) -> Vec<String> {
    let mut arguments = vec![usage_key(name)];
    arguments.extend(READ_FIELDS.map(str::to_owned));
    arguments
}

/// What `HMGET` has answered.
pub fn read_usage_profile(calls: Option<&str>, bucket: Option<&str>) -> Option<UsageProfile> {
    Some(UsageProfile {
        calls: calls?.parse().ok()?,
        p95: top_of(bucket?.parse().ok()?),
    })
}

pub(crate) fn usage_key(name: &str) -> String {
    format!("{USAGE_KEY_PREFIX}{name}")
}

/// The bucket of an amount: below 8 its own; above the eighth of its octave.
fn bucket_of(amount: u64) -> u32 {
    match amount.checked_ilog2() {
        None | Some(..3) => u32::try_from(amount).unwrap_or_default(),
        Some(octave) => {
            let eighth = amount
                .checked_shr(octave.saturating_sub(3))
                .unwrap_or_default();
            let eighth = u32::try_from(eighth).unwrap_or_default();
            octave
                .saturating_sub(3)
                .saturating_mul(8)
                .saturating_add(eighth)
        }
    }
}

/// The largest amount of a bucket.
fn top_of(bucket: u32) -> u64 {
    let (octave, eighth) = (bucket.saturating_sub(8) / 8, bucket % 8);
    if bucket < 8 {
        return u64::from(bucket);
    }
    let next = u64::from(eighth).saturating_add(9);
    let top = next.checked_shl(octave).unwrap_or(u64::MAX);
    top.saturating_sub(1)
}

/// The same in memory, or in one value of a store that has no scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UsageHistogram(BTreeMap<u32, u64>);

impl UsageHistogram {
    pub fn observe(&mut self, amount: u64) {
        let count = self.0.entry(bucket_of(amount)).or_default();
        *count = count.saturating_add(1);
        if self.calls() >= FADES_AT {
            self.0.values_mut().for_each(|count| *count /= 2);
            self.0.retain(|_, count| *count > 0);
        }
    }

    /// `None` where nothing was observed.
    pub fn profile(&self) -> Option<UsageProfile> {
        let calls = self.calls();
        let mut above: u64 = 0;
        let highest = self.0.iter().rev().find(|(_, count)| {
            above = above.saturating_add(**count);
            above.saturating_mul(20) > calls
        });
        highest.map(|(bucket, _)| UsageProfile {
            calls,
            p95: top_of(*bucket),
        })
    }

    fn calls(&self) -> u64 {
        self.0.values().sum()
    }

    /// From what [`UsageHistogram::write`] wrote; what is none of it is passed over.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let entries = text.split_ascii_whitespace().filter_map(|entry| {
            let (bucket, count) = entry.split_once(':')?;
            Some((bucket.parse().ok()?, count.parse().ok()?))
        });
        Self(entries.collect())
    }

    pub fn write(&self) -> Vec<u8> {
        let entries = self.0.iter();
        let entries: Vec<String> = entries
            .map(|(bucket, count)| format!("{bucket}:{count}"))
            .collect();
        entries.join(" ").into_bytes()
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_buckets_top_is_at_most_an_eighth_above_what_is_in_it(amount in 0_u64..1_000_000_000_000) {
            let top = top_of(bucket_of(amount));
            prop_assert!(top >= amount && top - amount <= amount / 8, "{amount} {top}");
            prop_assert_ne!(bucket_of(top), bucket_of(top + 1));
        }

        #[test]
        fn the_percentile_is_never_too_low(mut amounts in prop::collection::vec(0_u64..5_000, 1..400)) {
            let mut histogram = UsageHistogram::default();
            amounts.iter().for_each(|amount| histogram.observe(*amount));
            let profile = histogram.profile().unwrap();
            amounts.sort_unstable();
            let exact = amounts[(amounts.len() * 95).div_ceil(100) - 1];
            prop_assert_eq!(profile.calls, amounts.len() as u64);
            prop_assert!(profile.p95 >= exact && profile.p95 <= exact + exact / 8, "{} of {}", profile.p95, exact);
            prop_assert_eq!(UsageHistogram::read(&histogram.write()), histogram);
        }
    }

    #[test]
    fn what_was_long_ago_fades() {
        let mut histogram = UsageHistogram::default();
        (0..1_000).for_each(|_| histogram.observe(4_000));
        assert!(histogram.profile().unwrap().p95 >= 4_000);
        (0..3_000).for_each(|_| histogram.observe(100));
        let profile = histogram.profile().unwrap();
        assert!((100..=112).contains(&profile.p95), "{profile:?}");
        assert!(profile.calls < FADES_AT);
    }
}

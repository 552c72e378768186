//! Sums of one instance, ready to be added to the totals of all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::family::{Labels, definition};
use crate::{Family, Label};

/// Upper bounds of the duration buckets, in milliseconds: from a cached page to the longest run Dify allows.
pub(crate) const DURATION_BUCKETS_MS: [u64; 14] = [
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 15_000, 60_000, 300_000, 1_200_000,
];

/// Sums by series; values only grow. Text is made when they are given out, once for many requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    counts: BTreeMap<(Family, Labels), u64>,
    durations: BTreeMap<(Family, Labels), Durations>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Durations {
    /// How many fell into each bucket, the last without a bound. Cumulation is left to who renders, so that a delta
    /// stays small.
    buckets: [u64; DURATION_BUCKETS_MS.len() + 1],
    microseconds: u64,
}

fn labels<const N: usize>(given: [Label; N]) -> Labels {
    let mut labels = Labels::default();
    for (to, from) in labels.iter_mut().zip(given) {
        *to = from;
    }
    labels
}

impl Counters {
    /// Whether nothing has been counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.durations.is_empty()
    }

    /// Takes what has been counted so far, leaving nothing.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Adds to the series of a family with these labels' values, in the family's order.
    pub fn add<const N: usize>(&mut self, family: Family, values: [Label; N], amount: u64) {
        let sum = self.counts.entry((family, labels(values))).or_default();
        *sum = sum.saturating_add(amount);
    }

    /// Counts how long something took.
    pub fn observe<const N: usize>(&mut self, family: Family, values: [Label; N], took: Duration) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = DURATION_BUCKETS_MS
            .iter()
            .take_while(|bound| milliseconds > **bound)
            .count();
        let durations = self.durations.entry((family, labels(values))).or_default();
        if let Some(count) = durations.buckets.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        durations.microseconds = durations.microseconds.saturating_add(microseconds);
    }

    /// Adds every series of `other`.
    pub fn merge(&mut self, other: Self) {
        for (series, amount) in other.counts {
            let sum = self.counts.entry(series).or_default();
            *sum = sum.saturating_add(amount);
        }
        for (series, more) in other.durations {
            let durations = self.durations.entry(series).or_default();
            for (count, more) in durations.buckets.iter_mut().zip(more.buckets) {
                *count = count.saturating_add(more);
            }
            durations.microseconds = durations.microseconds.saturating_add(more.microseconds);
        }
    }

    /// Every series as text, `name{labels}`, with its amount; durations in microseconds, of their buckets those that
    /// something fell into.
    pub fn to_series(&self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        for ((family, labels), amount) in &self.counts {
            all.push((series(*family, "", labels, None), *amount));
        }
        for ((family, labels), durations) in &self.durations {
            let mut count: u64 = 0;
            let bounds = DURATION_BUCKETS_MS.iter().copied().map(Some).chain([None]);
            for (bound, amount) in bounds.zip(durations.buckets) {
                count = count.saturating_add(amount);
                if amount > 0 {
                    let bound = bound.map_or_else(|| "+Inf".to_owned(), seconds);
                    all.push((series(*family, "_bucket", labels, Some(&bound)), amount));
                }
            }
            let sum = durations.microseconds;
            all.push((series(*family, "_sum", labels, None), sum));
            all.push((series(*family, "_count", labels, None), count));
        }
        all
    }
}

fn series(family: Family, suffix: &str, values: &Labels, bound: Option<&str>) -> String {
    let Some(definition) = definition(family) else {
        return String::new();
    };
    let mut text = format!("{}{suffix}", definition.name);
    let named = definition.labels.iter().copied().zip(values);
    let mut separator = '{';
    for (name, value) in named {
        // Writing to a string cannot fail, here and below.
        let _ = write!(text, "{separator}{name}=\"");
        escape(&mut text, &value.to_string());
        text.push('"');
        separator = ',';
    }
    if let Some(bound) = bound {
        let _ = write!(text, "{separator}le=\"{bound}\"");
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    text
}

pub(crate) fn seconds(milliseconds: u64) -> String {
    let whole = milliseconds / 1000;
    let rest = milliseconds % 1000;
    if rest == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{rest:03}")
            .trim_end_matches('0')
            .to_owned()
    }
}

/// As the Prometheus text format asks.
fn escape(to: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => to.push_str("\\\\"),
            '"' => to.push_str("\\\""),
            '\n' => to.push_str("\\n"),
            other => to.push(other),
        }
    }
}

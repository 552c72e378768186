//! Totals as one entry of a key-value store: a line a series, `series amount changed`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::metrics::METRICS_TTL_SECONDS;

/// Amounts by series, with the second since 1970 in which each last grew.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals(BTreeMap<String, (u64, u64)>);

impl Totals {
    /// Lines that are none are passed over.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().filter_map(|line| {
            let (rest, changed) = line.rsplit_once(' ')?;
            let (series, amount) = rest.rsplit_once(' ')?;
            Some((
                series.to_owned(),
                (amount.parse().ok()?, changed.parse().ok()?),
            ))
        });
        Self(lines.collect())
    }

    pub fn add(&mut self, amounts: &[(String, u64)], now: u64) {
        for (series, amount) in amounts {
            let (sum, changed) = self.0.entry(series.clone()).or_default();
            *sum = sum.saturating_add(*amount);
            *changed = now;
        }
    }

    /// Without what has not grown for too long.
    pub fn write(&self, now: u64) -> Vec<u8> {
        let oldest = now.saturating_sub(METRICS_TTL_SECONDS);
        let mut text = String::new();
        for (series, (amount, changed)) in &self.0 {
            if *changed >= oldest {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{series} {amount} {changed}");
            }
        }
        text.into_bytes()
    }

    pub fn into_amounts(self) -> impl Iterator<Item = (String, u64)> {
        self.0
            .into_iter()
            .map(|(series, (amount, _))| (series, amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_grown_for_a_month_is_forgotten() {
        let of = |series: &str, amount| vec![(series.to_owned(), amount)];
        let mut totals = Totals::default();
        totals.add(&of("a{b=\"c d\"}", 2), 1_000);
        totals.add(&of("e", 1), 2_000);
        let later = 1_001 + METRICS_TTL_SECONDS;
        let mut read = Totals::read(&totals.write(1_000));
        assert_eq!(read, totals);
        read.add(&of("e", 5), later);
        let left: Vec<_> = Totals::read(&read.write(later)).into_amounts().collect();
        assert_eq!(left, of("e", 6));
        assert_eq!(Totals::read(b"no line\nof_the_old 1\n"), Totals::default());
    }
}

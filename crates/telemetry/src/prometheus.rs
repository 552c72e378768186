//! The Prometheus text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::counters::{DURATION_BUCKETS_MS, seconds};
use crate::{Definition, FAMILIES, FamilyKind};

/// Totals as a scrape expects them.
///
/// What is of no family that this release knows is given out as it is, untyped.
pub fn render(totals: &BTreeMap<String, u64>) -> String {
    let mut families: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for (series, value) in totals {
        families
            .entry(family(series))
            .or_default()
            .push((series, *value));
    }
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    for (family, series) in families {
        let known = FAMILIES.iter().find(|known| known.name == family);
        if let Some(Definition {
            name, kind, help, ..
        }) = known
        {
            let kind = match kind {
                FamilyKind::Counter => "counter",
                FamilyKind::Histogram => "histogram",
            };
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        }
        if known.is_some_and(|known| known.kind == FamilyKind::Histogram) {
            histogram(&mut text, family, &series);
        } else {
            for (series, value) in series {
                let _ = writeln!(text, "{series} {value}");
            }
        }
    }
    text
}

fn family(series: &str) -> &str {
    let name = series.split_once('{').map_or(series, |(name, _)| name);
    ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .find(|base| {
            FAMILIES
                .iter()
                .any(|known| known.name == *base && known.kind == FamilyKind::Histogram)
        })
        .unwrap_or(name)
}

#[derive(Default)]
struct Histogram {
    buckets: BTreeMap<String, u64>,
    sum_microseconds: u64,
    count: u64,
}

fn histogram(text: &mut String, family: &str, series: &[(&str, u64)]) {
    let mut by_labels: BTreeMap<&str, Histogram> = BTreeMap::new();
    for (series, value) in series {
        let Some((name, labels)) = series.split_once('{') else {
            continue;
        };
        let labels = labels.strip_suffix('}').unwrap_or(labels);
        match name.strip_prefix(family) {
            Some("_bucket") => {
                if let Some((labels, bound)) = labels.rsplit_once(",le=\"") {
                    let bound = bound.trim_end_matches('"').to_owned();
                    by_labels
                        .entry(labels)
                        .or_default()
                        .buckets
                        .insert(bound, *value);
                }
            }
            Some("_sum") => by_labels.entry(labels).or_default().sum_microseconds = *value,
            Some("_count") => by_labels.entry(labels).or_default().count = *value,
            _ => {}
        }
    }
    for (labels, histogram) in by_labels {
        let mut cumulated: u64 = 0;
        let bounds = DURATION_BUCKETS_MS
            .iter()
            .map(|bound| seconds(*bound))
            .chain(["+Inf".to_owned()]);
        for bound in bounds {
            cumulated =
                cumulated.saturating_add(histogram.buckets.get(&bound).copied().unwrap_or(0));
            let _ = writeln!(
                text,
                "{family}_bucket{{{labels},le=\"{bound}\"}} {cumulated}"
            );
        }
        let sum = histogram.sum_microseconds;
        let _ = writeln!(
            text,
            "{family}_sum{{{labels}}} {}.{:06}",
            sum / 1_000_000,
            sum % 1_000_000
        );
        let _ = writeln!(text, "{family}_count{{{labels}}} {}", histogram.count);
    }
}

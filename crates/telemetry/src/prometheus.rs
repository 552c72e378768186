//! The Prometheus text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Counters;
use crate::counters::{DURATION_BUCKETS_MS, seconds};

/// Family name, type and help. Families that are not here are given out as untyped.
const FAMILIES: [(&str, &str, &str); 13] = [
    (
        "spillway_agent_runs_total",
        "counter",
        "Runs of Dify apps, by how they ended.",
    ),
    (
        "spillway_agent_tokens_total",
        "counter",
        "Tokens that runs took, as Dify told them.",
    ),
    (
        "spillway_knowledge_requests_total",
        "counter",
        "Requests to knowledge APIs, by how they ended.",
    ),
    (
        "spillway_model_attempts_total",
        "counter",
        "Attempts at a target, by how they ended.",
    ),
    (
        "spillway_model_first_token_seconds",
        "histogram",
        "From a call's arrival to its stream's first content.",
    ),
    (
        "spillway_model_retries_refused_total",
        "counter",
        "Calls that failed and were not sent again although more might have been tried, by why.",
    ),
    (
        "spillway_model_tokens_total",
        "counter",
        "Tokens as providers reported them.",
    ),
    (
        "spillway_provider_transitions_total",
        "counter",
        "Endpoints and keys of providers that were set aside, or are used again.",
    ),
    (
        "spillway_rate_limit_requests_total",
        "counter",
        "Requests under a rate-limit rule, by what it said.",
    ),
    (
        "spillway_request_duration_seconds",
        "histogram",
        "From a request's arrival to its answer's head (ingress, unless the answer is read along) or end.",
    ),
    (
        "spillway_requests_total",
        "counter",
        "Finished requests, by API, route, status and reason.",
    ),
    (
        "spillway_state_late_total",
        "counter",
        "Requests that were decided without the store's verdict because it came too late.",
    ),
    (
        "spillway_state_transitions_total",
        "counter",
        "How often instances left the store alone, and took it back into use.",
    ),
];

/// Totals as a scrape expects them.
pub fn render(totals: &Counters) -> String {
    let mut families: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for (series, value) in totals.iter() {
        families
            .entry(family(series))
            .or_default()
            .push((series, value));
    }
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    for (family, series) in families {
        let known = FAMILIES.iter().find(|(name, _, _)| *name == family);
        if let Some((name, kind, help)) = known {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        }
        if known.is_some_and(|(_, kind, _)| *kind == "histogram") {
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
                .any(|(known, kind, _)| known == base && *kind == "histogram")
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

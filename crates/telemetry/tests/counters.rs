//! Counting, adding up and giving out.

mod records;

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use proptest::prelude::*;
use spillway_telemetry::{AccessRecord, ApiKind, Counters, Family, Reason, render};

fn sample() -> Counters {
    let mut counters = Counters::default();
    for record in records::all() {
        record.count(&mut counters);
    }
    counters.add(Family::RateLimits, ["per-app".into(), "refused".into()], 1);
    counters.add(Family::LimitsNear, ["per-app".into()], 3);
    counters.add(
        Family::TokenLimits,
        ["tokens".into(), "settled".into()],
        120,
    );
    counters.add(Family::StateTransitions, ["opened".into()], 1);
    counters.add(Family::StateLate, [], 2);
    counters
}

fn totals(counters: &Counters) -> BTreeMap<String, u64> {
    counters.to_series().into_iter().collect()
}

#[test]
fn the_prometheus_form_is_the_committed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.txt");
    let text = render(&totals(&sample()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap());
}

#[test]
fn a_merge_adds_every_series_and_taking_leaves_nothing() {
    let mut counters = sample();
    counters.merge(sample());
    let once = totals(&sample());
    for (series, amount) in totals(&counters) {
        assert_eq!(Some(&(amount / 2)), once.get(&series), "{series}");
    }
    assert!(!counters.take().is_empty());
    assert!(counters.is_empty());
}

proptest! {
    #[test]
    fn any_stored_series_can_be_rendered(series in "[ -~]{0,100}", amount: u64) {
        let _ = render(&BTreeMap::from([(series, amount)]));
    }

    #[test]
    fn a_count_equals_its_infinite_bucket(milliseconds in prop::collection::vec(0_u64..3_000_000, 1..30)) {
        let mut counters = Counters::default();
        for value in &milliseconds {
            let mut record = AccessRecord::new(ApiKind::Agent, Method::GET, "/", String::new());
            record.reason = Reason::Ok;
            record.took = Duration::from_millis(*value);
            record.count(&mut counters);
        }
        let text = render(&totals(&counters));
        let expected = format!("le=\"+Inf\"}} {}\n", milliseconds.len());
        prop_assert!(text.contains(&expected), "{}", text);
    }
}

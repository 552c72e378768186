//! What the sliding window promises, held against every request of random schedules.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test"
)]

use proptest::prelude::*;
use spillway_platform::{Charge, Mode};
use spillway_state::MemoryStore;

fn take(key: &str, limit: u32, window_ms: u64, dry_run: bool) -> Charge {
    Charge {
        key: key.to_owned(),
        cost: 1,
        limit: u64::from(limit),
        mode: Mode::Count {
            window_ms,
            cost_when_new: 0,
        },
        dry_run,
    }
}

/// Whether some window of this length, wherever it begins, has more than `limit` of these moments.
fn exceeds(passed: &[u64], window_ms: u64, limit: u32) -> bool {
    passed
        .windows(limit as usize + 1)
        .any(|moments| moments[limit as usize] - moments[0] < window_ms)
}

/// Windows as they are used, and odd ones whose sixths are no whole milliseconds.
fn windows() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1_000), Just(60_000), Just(86_400_000), 6..5_000_u64]
}

/// Steps between requests: none, short, about a sub-window, about a window, beyond.
fn steps(window_ms: u64, length: usize) -> impl Strategy<Value = Vec<u64>> {
    let step = prop_oneof![
        3 => Just(0),
        3 => 0..=window_ms / 20 + 1,
        2 => 0..=window_ms / 6 + 1,
        1 => window_ms - 1..=window_ms + 1,
        1 => 0..=window_ms * 3,
    ];
    prop::collection::vec(step, 1..length)
}

fn schedules() -> impl Strategy<Value = (u64, u32, u64, Vec<u64>)> {
    windows().prop_flat_map(|window_ms| {
        (
            Just(window_ms),
            1..12_u32,
            1_700_000_000_000..1_700_000_100_000_u64,
            steps(window_ms, 150),
        )
    })
}

fn cases(number: u32) -> ProptestConfig {
    let asked = ProptestConfig::default().cases;
    ProptestConfig {
        cases: asked.max(number),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(1024))]

    #[test]
    fn never_more_than_the_limit_in_any_window((window_ms, limit, start, steps) in schedules()) {
        let mut store = MemoryStore::default();
        let rules = [take("a", limit, window_ms, false)];
        let (mut now, mut passed) = (start, Vec::new());
        for step in steps {
            now += step;
            let taken = store.charge(now, &rules);
            let count = taken.charges[0];
            prop_assert_eq!(taken.passes, !count.full);
            prop_assert_eq!(count.remaining, u64::from(limit) - count.used);
            prop_assert!(store.sub_windows("a") <= 7);
            // What passed within the window is counted, and nothing from before 7/6 of it.
            let since = |age: u64| passed.iter().filter(|at| now - **at < age).count() as u64;
            let own = u64::from(taken.passes);
            prop_assert!(count.used >= since(window_ms) + own);
            prop_assert!(count.used <= since((window_ms * 7).div_ceil(6)) + own);
            if taken.passes {
                passed.push(now);
            }
        }
        prop_assert!(!exceeds(&passed, window_ms, limit));
    }

    #[test]
    fn a_refused_request_passes_when_it_is_told_to_and_not_before((window_ms, limit, start, steps) in schedules()) {
        let mut store = MemoryStore::default();
        let rules = [take("a", limit, window_ms, false)];
        let mut now = start;
        for step in steps {
            now += step;
            let taken = store.charge(now, &rules);
            let reset_ms = taken.charges[0].reset_ms;
            prop_assert!(reset_ms > 0 && reset_ms <= (window_ms * 7).div_ceil(6));
            if !taken.passes {
                prop_assert!(!store.clone().charge(now + reset_ms - 1, &rules).passes);
                prop_assert!(store.clone().charge(now + reset_ms, &rules).passes);
            }
        }
    }

    #[test]
    fn rules_take_all_or_nothing_and_dry_runs_only_watch(
        (window_ms, limit, start, steps) in schedules(),
        others in prop::collection::vec((1..8_u32, any::<bool>()), 1..5),
    ) {
        let mut rules = vec![take("first", limit, window_ms, false)];
        for (index, (limit, dry_run)) in others.into_iter().enumerate() {
            rules.push(take(&format!("other {index}"), limit, window_ms, dry_run));
        }
        let enforced: Vec<Charge> = rules.iter().filter(|rule| !rule.dry_run).cloned().collect();
        let (mut store, mut without_dry_runs) = (MemoryStore::default(), MemoryStore::default());
        let mut now = start;
        let mut before: Option<Vec<u64>> = None;
        for step in steps {
            now += step;
            let taken = store.charge(now, &rules);
            // Dry runs change nothing for the others.
            prop_assert_eq!(taken.passes, without_dry_runs.charge(now, &enforced).passes);
            prop_assert_eq!(taken.passes, rules.iter().zip(&taken.charges).all(|(rule, count)| rule.dry_run || !count.full));
            let used: Vec<u64> = taken.charges.iter().map(|count| count.used).collect();
            if let Some(before) = before.filter(|_| step == 0) {
                for ((before, count), rule) in before.iter().zip(&taken.charges).zip(&rules) {
                    let counted = taken.passes && !count.full;
                    prop_assert_eq!(count.used, before + u64::from(counted));
                    prop_assert!(count.used <= rule.limit);
                }
            }
            before = Some(used);
        }
    }

    #[test]
    fn a_dry_run_counts_what_it_would_let_pass((window_ms, limit, start, steps) in schedules()) {
        let (mut dry, mut enforced) = (MemoryStore::default(), MemoryStore::default());
        let mut now = start;
        for step in steps {
            now += step;
            let watched = dry.charge(now, &[take("a", limit, window_ms, true)]);
            let refused = enforced.charge(now, &[take("a", limit, window_ms, false)]);
            prop_assert!(watched.passes);
            prop_assert_eq!(watched.charges, refused.charges);
        }
    }
}

#[test]
fn a_limit_that_was_lowered_tells_when_enough_have_gone() {
    let mut store = MemoryStore::default();
    for second in 0..6 {
        assert!(
            store
                .charge(second * 10_000, &[take("a", 6, 60_000, false)])
                .passes
        );
    }
    let lowered = [take("a", 2, 60_000, false)];
    let count = store.charge(50_000, &lowered).charges[0];
    assert_eq!((count.used, count.remaining, count.full), (6, 0, true));
    // Of the six, passed at 0, 10, … 50 s, five must have gone: the fifth counts until 110 s.
    assert_eq!(count.reset_ms, 60_000);
    assert!(!store.clone().charge(109_999, &lowered).passes);
    assert!(store.charge(110_000, &lowered).passes);
}

#[test]
fn a_small_step_back_of_the_clock_forgets_nothing_and_a_large_one_blocks_nobody() {
    let mut store = MemoryStore::default();
    let rules = [take("a", 1, 60_000, false)];
    assert!(store.charge(1_000_000_000, &rules).passes);
    assert!(!store.charge(1_000_000_000 - 59_000, &rules).passes);
    assert!(store.charge(1_000_000_000 - 3_600_000, &rules).passes);
}

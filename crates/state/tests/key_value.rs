//! Request limits on single numbers: one request after the other they do what the model does; whatever comes in
//! between of requests, they let no more pass.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test"
)]

mod turns;

use std::cell::Cell;

use proptest::prelude::*;
use spillway_platform::{
    Admitted, Charge, LEASE_MS, LIMIT_KEY_PREFIX, LeaseName, Mode, NewValues, Settled,
};
use spillway_state::{
    Error, MemoryStore, charge_in_numbers, move_reservation, number_expires_ms, settle_in_numbers,
    settle_reservation, standings_in_numbers,
};
use turns::{Numbers, run, run_from, turns};

fn take(key: &str, limit: u32, window_ms: u64, dry_run: bool) -> Charge {
    new_take(key, limit, window_ms, dry_run, 0)
}

fn new_take(key: &str, limit: u32, window_ms: u64, dry_run: bool, cost_when_new: u32) -> Charge {
    Charge {
        key: format!("{LIMIT_KEY_PREFIX}{key}"),
        cost: 1,
        limit: u64::from(limit),
        mode: Mode::Count {
            window_ms,
            cost_when_new,
        },
        dry_run,
    }
}

fn reserve(key: &str, cost: u64, limit: u64, window_ms: u64) -> Charge {
    Charge {
        cost,
        limit,
        mode: Mode::Reserve {
            window_ms,
            cost_when_new: 0,
        },
        ..take(key, 0, window_ms, false)
    }
}

/// Where a request was counted.
fn counted(takes: &[Charge], taken: &Admitted) -> Vec<Settled> {
    let counts = takes.iter().zip(&taken.charges);
    let counts = counts.filter(|(_, count)| taken.passes && !count.full && count.used > 0);
    counts
        .map(|(charge, count)| Settled {
            charge: charge.clone(),
            sub_window: count.sub_window,
            actual: 0,
        })
        .collect()
}

fn exceeds(passed: &[u64], window_ms: u64, limit: u32) -> bool {
    passed
        .windows(limit as usize + 1)
        .any(|moments| moments[limit as usize] - moments[0] < window_ms)
}

fn configuration() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(configuration())]

    #[test]
    fn one_after_the_other_they_do_as_the_model(
        limits in prop::collection::vec(
            (1..6_u32, prop::sample::select(vec![1_000, 60_000, 777_u64]), any::<bool>(), 0..4_u32, 1..4_u32), 0..4),
        steps in prop::collection::vec(prop_oneof![Just(0), 0..300_u64, 0..20_000_u64, 0..200_000_u64], 1..60),
        allowance in prop::option::of(0..9_u32),
        forgets in any::<u64>(),
    ) {
        let takes: Vec<Charge> = limits.into_iter().enumerate()
            .map(|(index, (limit, window_ms, dry_run, cost_when_new, cost))| Charge {
                cost: u64::from(cost),
                ..new_take(&index.to_string(), limit, window_ms, dry_run, cost_when_new)
            }).collect();
        let new_values = allowance.map(|allowance| NewValues { key: format!("{LIMIT_KEY_PREFIX}client"), allowance });
        let (numbers, mut model) = (Numbers::default(), MemoryStore::default());
        let mut now = 1_700_000_000_000;
        for (number, step) in steps.into_iter().enumerate() {
            now += step;
            let taken = charge_in_numbers(&numbers, || now, &takes, new_values.as_ref()).unwrap();
            prop_assert_eq!(&taken, &model.charge_bounded(now, &takes, new_values.as_ref()));
            if forgets >> (number % 64) & 1 == 1 {
                let counted = counted(&takes, &taken);
                settle_in_numbers(&numbers, &counted).unwrap();
                model.settle(0, &counted, &LeaseName(number.to_string()));
            }
        }
    }

    #[test]
    fn never_more_than_the_limit_whatever_comes_in_between(
        (window_ms, turns) in prop::sample::select(vec![1_000, 60_000, 100_u64])
            .prop_flat_map(|window_ms| (Just(window_ms), turns(window_ms, false))),
        requests in 2..24_usize,
        limit in 1..6_u32,
        second in prop::option::of((1..6_u32, any::<bool>())),
    ) {
        let mut takes = vec![take("a", limit, window_ms, false)];
        takes.extend(second.map(|(limit, dry_run)| take("b", limit, window_ms, dry_run)));
        let outcome = run(requests, &takes, &turns);
        prop_assert!(!exceeds(&outcome.passed, window_ms, limit));
        if let Some((limit, false)) = second {
            prop_assert!(!exceeds(&outcome.passed, window_ms, limit));
        }
        prop_assert_eq!(outcome.failed, 0);
        prop_assert_eq!(outcome.passed.len() + outcome.refused + outcome.too_slow, requests);
        // What was refused has left nothing behind.
        let sum: i64 = outcome.numbers.iter().filter(|(key, _)| key.starts_with(&takes[0].key)).map(|(_, number)| number).sum();
        prop_assert_eq!(sum, i64::try_from(outcome.passed.len()).unwrap());
        prop_assert!(outcome.numbers.values().all(|number| *number >= 0));
    }

    #[test]
    fn never_more_than_the_limit_of_what_is_reserved_and_settled_in_between(
        (window_ms, turns) in prop::sample::select(vec![100_u64, 300])
            .prop_flat_map(|window_ms| (Just(window_ms), turns(window_ms, false))),
        requests in 2..20_usize,
        (limit, cost, share) in (5..40_u64, 1..20_u64, 0..=100_u64),
        before in 0..2_000_u64,
        is_moved in any::<bool>(),
        // One goes on for a while, so that all of it falls between two steps of another.
        runs in prop::collection::vec(1..40_usize, 50),
    ) {
        let turns: Vec<_> = turns.iter().zip(runs.iter().cycle())
            .flat_map(|(turn, run)| std::iter::repeat_n(turn.clone(), *run)).collect();
        let cost = cost.min(limit);
        let charge = reserve("a", cost, limit, window_ms);
        // Shortly before a half minute begins.
        let start = 1_700_000_010_000 - before;
        let takes = [charge.clone()];
        let outcome = run_from(start, requests, &takes, &turns, |store, now_ms, admitted| {
            let mut half_minute = admitted.charges[0].sub_window;
            if is_moved {
                let to = now_ms / LEASE_MS;
                move_reservation(store, &charge, half_minute, to)?;
                half_minute = to;
            }
            settle_reservation(store, now_ms, &charge, half_minute, cost * share / 100)
        });
        for (end, _) in &outcome.charged {
            let within = outcome.charged.iter().filter(|(at, _)| at <= end && at + window_ms > *end);
            let sum: u64 = within.map(|(_, amount)| amount).sum();
            prop_assert!(sum <= limit, "{sum} of {limit}");
        }
        let reserved = outcome.numbers.iter().filter(|(key, _)| key.contains(":reserved:"));
        prop_assert_eq!(reserved.map(|(_, number)| *number).sum::<i64>(), 0);
        prop_assert_eq!(outcome.failed, 0);
    }

    #[test]
    fn never_more_than_the_limit_when_the_store_fails_in_between(
        turns in turns(1_000, true),
        requests in 2..24_usize,
        limit in 1..6_u32,
    ) {
        let outcome = run(requests, &[take("a", limit, 1_000, false), take("b", 3, 1_000, false)], &turns);
        prop_assert!(!exceeds(&outcome.passed, 1_000, limit.min(3)));
    }
}

#[test]
fn where_limits_stand_can_be_read_without_charging() {
    let (store, start) = (Numbers::default(), 1_700_000_000_000);
    let charges = [take("a", 5, 60_000, false), reserve("b", 30, 100, 60_000)];
    let admitted = charge_in_numbers(&store, || start, &charges, None).unwrap();
    assert!(admitted.passes);
    for _ in 0..2 {
        let standings = standings_in_numbers(&store, start, &charges).unwrap();
        let told: Vec<_> = standings
            .iter()
            .map(|it| (it.used, it.reserved, it.remaining, it.full))
            .collect();
        assert_eq!(told, [(1, 0, 4, false), (30, 30, 70, false)]);
    }
    // Both are over then.
    let standings = standings_in_numbers(&store, start + 70_001, &charges).unwrap();
    assert!(standings.iter().all(|it| it.used == 0));
}

#[test]
fn a_request_without_room_writes_nothing() {
    let numbers = Numbers::default();
    let takes = [take("a", 1, 60_000, false), take("b", 5, 60_000, false)];
    let start = 1_700_000_000_000;
    assert!(
        charge_in_numbers(&numbers, || start, &takes, None)
            .unwrap()
            .passes
    );
    let before = numbers.0.borrow().clone();
    assert!(
        !charge_in_numbers(&numbers, || start + 30_000, &takes, None)
            .unwrap()
            .passes
    );
    assert_eq!(*numbers.0.borrow(), before);
    assert_eq!(before.len(), 2);
}

#[test]
fn a_key_tells_when_it_may_be_removed() {
    let numbers = Numbers::default();
    let start = 1_700_000_000_000;
    charge_in_numbers(&numbers, || start, &[take("a", 1, 60_000, false)], None).unwrap();
    let key = numbers.0.borrow().keys().next().unwrap().clone();
    let expiry = number_expires_ms(&key).unwrap();
    assert!((start + 60_000..=start + 70_000).contains(&expiry), "{key}");
    // Removed then, it changes nothing: until then the place is taken, afterwards it is free.
    let taken_at =
        |now| charge_in_numbers(&numbers, || now, &[take("a", 1, 60_000, false)], None).unwrap();
    assert!(!taken_at(expiry - 1).passes);
    assert!(taken_at(expiry).passes);
    for other in [
        "spillway:{metrics}:v1",
        "",
        LIMIT_KEY_PREFIX,
        "a:until:5",
        "spillway:{limit}:v1:x:until:y",
    ] {
        assert_eq!(number_expires_ms(other), None, "{other}");
    }
}

#[test]
fn a_store_that_outlasts_each_sub_window_is_told_of() {
    let numbers = Numbers::default();
    let clock = Cell::new(1_700_000_000_000_u64);
    let slow = || clock.replace(clock.get() + 200);
    let result = charge_in_numbers(&numbers, slow, &[take("a", 10, 1_000, false)], None);
    assert_eq!(result, Err(Error::TooSlow));
    assert!(numbers.0.borrow().values().all(|number| *number == 0));
}

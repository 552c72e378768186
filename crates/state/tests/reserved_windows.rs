//! With reservations, by the model: no window, wherever it begins, has more than the limit and what calls that were in
//! flight together came to above what they had reserved.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test"
)]

use proptest::prelude::*;
use spillway_platform::{Admission, Charge, LeaseName, Mode, Settled};
use spillway_state::MemoryStore;

const LIMIT: u64 = 1_000;
const RENEWED_EVERY: u64 = 10_000;

/// A call that passed.
#[derive(Debug, Clone)]
struct Call {
    charge: Charge,
    admitted: u64,
    /// When it was settled, and by what.
    settled: Option<(u64, u64)>,
    is_dead: bool,
}

impl Call {
    fn lease(place: usize) -> LeaseName {
        LeaseName(place.to_string())
    }

    fn is_in_flight(&self) -> bool {
        self.settled.is_none() && !self.is_dead
    }

    fn was_in_flight(&self, at: u64) -> bool {
        self.admitted <= at && self.settled.is_none_or(|(settled, _)| settled >= at)
    }
}

#[derive(Debug, Clone)]
enum Happens {
    /// A call comes that reserves so much.
    Comes(u64),
    /// One of those in flight comes to so many hundredths of what it had reserved, and so much more.
    Settles(usize, u64, u64),
    Dies(usize),
}

fn histories(most: u64, more: u64) -> impl Strategy<Value = Vec<(u64, Happens)>> {
    let what = prop_oneof![
        5 => (0..400_u64).prop_map(Happens::Comes),
        4 => (0..50_usize, 0..=most, 0..=more).prop_map(|(which, share, more)| {
            Happens::Settles(which, share, more)
        }),
        1 => (0..50_usize).prop_map(Happens::Dies),
    ];
    let step =
        prop_oneof![5 => Just(0_u64), 5 => 0..2_000_u64, 3 => 0..15_000_u64, 1 => 0..150_000_u64];
    prop::collection::vec((step, what), 1..120)
}

/// What passed and what it came to, with calls renewed as long as they are in flight.
fn run(window_ms: u64, history: Vec<(u64, Happens)>) -> Vec<Call> {
    let mut model = MemoryStore::default();
    let (mut now, mut calls) = (1_700_000_000_000_u64, Vec::<Call>::new());
    for (step, what) in history {
        let mut left = step;
        while left > 0 {
            let part = left.min(RENEWED_EVERY);
            (now, left) = (now + part, left - part);
            for (place, call) in calls.iter().enumerate() {
                if call.is_in_flight() {
                    let charges = std::slice::from_ref(&call.charge);
                    model.renew(now, charges, &Call::lease(place));
                }
            }
        }
        let in_flight: Vec<usize> = (0..calls.len())
            .filter(|place| calls[*place].is_in_flight())
            .collect();
        let of = |which: usize| in_flight.get(which % in_flight.len().max(1)).copied();
        match what {
            Happens::Comes(cost) => {
                let charge = Charge {
                    key: "a".to_owned(),
                    cost,
                    limit: LIMIT,
                    mode: Mode::Reserve {
                        window_ms,
                        cost_when_new: 0,
                    },
                    dry_run: false,
                };
                let asked = Admission {
                    charges: std::slice::from_ref(&charge),
                    lease: &Call::lease(calls.len()),
                    new_values: None,
                };
                let admitted = model.admit(now, asked);
                let charged = admitted.charges[0];
                assert!(charged.reserved <= charged.used);
                if admitted.passes {
                    calls.push(Call {
                        charge,
                        admitted: now,
                        settled: None,
                        is_dead: false,
                    });
                } else {
                    let again = model.admit(now, asked).charges[0];
                    assert_eq!(again, charged, "a refusal leaves nothing behind");
                }
            }
            Happens::Settles(which, share, more) => {
                if let Some(place) = of(which) {
                    let call = &mut calls[place];
                    let actual = call.charge.cost * share / 100 + more;
                    call.settled = Some((now, actual));
                    let settled = Settled {
                        charge: call.charge.clone(),
                        sub_window: 0,
                        actual,
                    };
                    for _ in 0..2 {
                        model.settle(now, std::slice::from_ref(&settled), &Call::lease(place));
                    }
                }
            }
            Happens::Dies(which) => {
                if let Some(place) = of(which) {
                    calls[place].is_dead = true;
                }
            }
        }
    }
    calls
}

/// Holds each window that ends with a settlement against what it may have.
fn check(window_ms: u64, calls: &[Call]) -> Result<(), TestCaseError> {
    for (end, _) in calls.iter().filter_map(|call| call.settled) {
        let is_within = |call: &&Call| {
            let settled = call.settled.map(|(at, _)| at);
            settled.is_some_and(|at| at <= end && at + window_ms > end)
        };
        let within: Vec<&Call> = calls.iter().filter(is_within).collect();
        let sum: u64 = within.iter().map(|call| call.settled.unwrap().1).sum();
        // All that is settled later than the last of them was admitted was in flight with it.
        let last = within.iter().map(|call| call.admitted).max().unwrap();
        let together = within.iter().filter(|call| call.was_in_flight(last));
        let excess: u64 = together
            .map(|call| call.settled.unwrap().1.saturating_sub(call.charge.cost))
            .sum();
        prop_assert!(sum <= LIMIT + excess, "{sum} until {end}, {excess} above");
    }
    Ok(())
}

fn windows() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1_000), Just(60_000), Just(3_600_000), 6..5_000_u64]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_reserved_in_full_never_goes_beyond(window in windows(), history in histories(100, 0)) {
        let calls = run(window, history);
        let within = |call: &Call| call.settled.is_none_or(|(_, actual)| actual <= call.charge.cost);
        prop_assert!(calls.iter().all(within));
        check(window, &calls)?;
    }

    #[test]
    fn beyond_is_no_more_than_calls_came_to_above_their_reservations(
        window in windows(),
        history in histories(300, 300),
    ) {
        check(window, &run(window, history))?;
    }
}

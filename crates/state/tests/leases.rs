//! Requests in flight: the scripts on a real Redis do what the model in memory does, and keep to the limit.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

mod redis_server;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use redis::Connection;
use redis_server::RedisServer;
use spillway_platform::{Admission, Admitted, Charge, LEASE_MS, LeaseName, Mode};
use spillway_state::{
    LEASE_RELEASE_V1, LEASE_RENEW_V2, LIMIT_CHARGE_V5, MemoryStore, lease_release_arguments,
    lease_renew_arguments, limit_charge_arguments, read_limit_charge,
};

fn in_flight(key: &str, limit: u32) -> Charge {
    Charge {
        key: key.to_owned(),
        cost: 1,
        limit: u64::from(limit),
        mode: Mode::InFlight,
        dry_run: false,
    }
}

fn name(number: u32) -> LeaseName {
    LeaseName(format!("lease-{number}"))
}

fn charge(
    connection: &mut Connection,
    charges: &[Charge],
    lease: &LeaseName,
    now_ms: Option<u64>,
) -> Admitted {
    let asked = Admission {
        charges,
        lease,
        new_values: None,
    };
    let answer: Vec<i64> = redis::cmd("EVAL")
        .arg(LIMIT_CHARGE_V5)
        .arg(limit_charge_arguments(asked, now_ms))
        .query(connection)
        .unwrap();
    read_limit_charge(&answer, charges).unwrap()
}

fn evaluate(connection: &mut Connection, script: &str, arguments: Vec<String>) {
    redis::cmd("EVAL")
        .arg(script)
        .arg(arguments)
        .exec(connection)
        .unwrap();
}

#[test]
fn all_or_nothing_holds_between_windows_and_what_is_in_flight() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let window = Charge {
        mode: Mode::Count {
            window_ms: 60_000,
            cost_when_new: 0,
        },
        ..in_flight("w", 5)
    };
    let charges = [in_flight("a", 1), window, in_flight("b", 9)];
    assert!(charge(&mut connection, &charges, &name(1), None).passes);
    let refused = charge(&mut connection, &charges, &name(2), None);
    assert!(!refused.passes);
    let used: Vec<u64> = refused.charges.iter().map(|it| it.used).collect();
    assert_eq!(used, [1, 1, 1], "the refused one is nowhere");
    for key in ["a", "b"] {
        let left: i64 = redis::cmd("PTTL").arg(key).query(&mut connection).unwrap();
        assert!(left > 0, "{key} would stay for ever");
    }
    let arguments = lease_release_arguments(&[charges[0].clone(), charges[2].clone()], &name(1));
    evaluate(&mut connection, LEASE_RELEASE_V1, arguments);
    assert!(charge(&mut connection, &charges, &name(2), None).passes);
}

#[test]
fn a_dead_holders_place_is_free_after_its_lease_and_a_renewed_one_is_not() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let charges = [in_flight("a", 1)];
    let now = 1_700_000_000_000;
    assert!(charge(&mut connection, &charges, &name(1), Some(now)).passes);
    let later = now + LEASE_MS - 1;
    assert!(!charge(&mut connection, &charges, &name(2), Some(later)).passes);
    let arguments = lease_renew_arguments(&charges, &name(1), Some(later));
    evaluate(&mut connection, LEASE_RENEW_V2, arguments);
    let after = now + LEASE_MS;
    assert!(!charge(&mut connection, &charges, &name(2), Some(after)).passes);
    let end = later + LEASE_MS;
    assert!(charge(&mut connection, &charges, &name(2), Some(end)).passes);
}

#[test]
fn a_request_that_is_sent_again_keeps_the_place_that_it_has() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let charges = [in_flight("a", 1)];
    for time in ["the first", "the second"] {
        let admitted = charge(&mut connection, &charges, &name(1), None);
        assert!(admitted.passes, "{time}");
        assert_eq!(admitted.charges[0].used, 1, "{time}");
    }
    assert!(!charge(&mut connection, &charges, &name(2), None).passes);
    let arguments = lease_release_arguments(&charges, &name(1));
    evaluate(&mut connection, LEASE_RELEASE_V1, arguments);
    assert!(charge(&mut connection, &charges, &name(2), None).passes);
}

#[derive(Debug, Clone)]
enum Step {
    Charge(Vec<(usize, u32, bool)>),
    /// The last one once more, as it was.
    Again,
    Renew(u32),
    Release(u32),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rules = prop::collection::vec((0..3_usize, 1..4_u32, prop::bool::weighted(0.2)), 0..4);
    let step = prop_oneof![
        6 => rules.prop_map(Step::Charge),
        1 => Just(Step::Again),
        2 => (0..30_u32).prop_map(Step::Renew),
        3 => (0..30_u32).prop_map(Step::Release),
        3 => prop_oneof![0..500_u64, 0..2 * LEASE_MS].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..50)
}

#[test]
fn random_schedules_end_as_in_the_model() {
    let server = RedisServer::start();
    let state = RefCell::new((server.connect(), 0_u32));
    let configuration = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(configuration, |(steps in steps())| {
        let (connection, run) = &mut *state.borrow_mut();
        *run += 1;
        let mut model = MemoryStore::default();
        let mut now = 1_700_000_000_000_u64;
        let mut held: BTreeMap<u32, Vec<Charge>> = BTreeMap::new();
        let mut number = 0;
        let mut last: Vec<Charge> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(time) => now += time,
                Step::Charge(rules) => {
                    let mut charges: Vec<Charge> = Vec::new();
                    for (key, limit, dry_run) in rules {
                        let key = format!("{run}:{key}");
                        if charges.iter().all(|charge| charge.key != key) {
                            charges.push(Charge { dry_run, ..in_flight(&key, limit) });
                        }
                    }
                    last.clone_from(&charges);
                    let lease = name(number);
                    let asked = Admission { charges: &charges, lease: &lease, new_values: None };
                    let expected = model.admit(now, asked);
                    let taken = charge(connection, &charges, &lease, Some(now));
                    prop_assert_eq!(&taken, &expected);
                    for (charge, charged) in charges.iter().zip(&taken.charges) {
                        if taken.passes && !charge.dry_run {
                            prop_assert!(charged.used <= charge.limit);
                        }
                    }
                    if taken.passes {
                        let kept = charges.into_iter().zip(&taken.charges);
                        let kept = kept.filter(|(_, charged)| !charged.full).map(|(charge, _)| charge);
                        held.insert(number, kept.collect());
                    }
                    number += 1;
                }
                Step::Again => {
                    let lease = name(number - u32::from(number > 0));
                    let asked = Admission { charges: &last, lease: &lease, new_values: None };
                    let expected = model.admit(now, asked);
                    let taken = charge(connection, &last, &lease, Some(now));
                    prop_assert_eq!(&taken, &expected);
                }
                Step::Renew(number) => {
                    if let Some(holds) = held.get(&number) {
                        model.renew(now, holds, &name(number));
                        let arguments = lease_renew_arguments(holds, &name(number), Some(now));
                        evaluate(connection, LEASE_RENEW_V2, arguments);
                    }
                }
                Step::Release(number) => {
                    if let Some(holds) = held.remove(&number) {
                        model.release(&holds, &name(number));
                        let arguments = lease_release_arguments(&holds, &name(number));
                        evaluate(connection, LEASE_RELEASE_V1, arguments);
                    }
                }
            }
        }
    });
}

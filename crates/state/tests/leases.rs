//! What is under way: the scripts on a real Redis do what the model in memory does, and keep to the limit.
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
use spillway_platform::{Hold, LEASE_MS, LeaseName, Take, Taken};
use spillway_state::{
    LEASE_RELEASE_V1, LEASE_RENEW_V1, LIMIT_TAKE_V3, MemoryStore, lease_release_arguments,
    lease_renew_arguments, limit_take_arguments, read_limit_take,
};

fn hold(key: &str, limit: u32) -> Hold {
    Hold {
        key: key.to_owned(),
        limit,
        dry_run: false,
    }
}

fn name(number: u32) -> LeaseName {
    LeaseName(format!("lease-{number}"))
}

fn take(
    connection: &mut Connection,
    takes: &[Take],
    holds: &[Hold],
    lease: &LeaseName,
    now_ms: Option<u64>,
) -> Taken {
    let answer: Vec<i64> = redis::cmd("EVAL")
        .arg(LIMIT_TAKE_V3)
        .arg(limit_take_arguments(takes, holds, lease, None, now_ms))
        .query(connection)
        .unwrap();
    read_limit_take(&answer, takes.len(), holds.len()).unwrap()
}

fn evaluate(connection: &mut Connection, script: &str, arguments: Vec<String>) {
    redis::cmd("EVAL")
        .arg(script)
        .arg(arguments)
        .exec(connection)
        .unwrap();
}

#[test]
fn all_or_nothing_holds_between_windows_and_what_is_under_way() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let window = Take {
        key: "w".to_owned(),
        limit: 5,
        window_ms: 60_000,
        dry_run: false,
        cost_when_new: 0,
    };
    let holds = [hold("a", 1), hold("b", 9)];
    let takes = std::slice::from_ref(&window);
    assert!(take(&mut connection, takes, &holds, &name(1), None).passes);
    let refused = take(&mut connection, takes, &holds, &name(2), None);
    assert!(!refused.passes);
    let used: Vec<u64> = refused.counts.iter().map(|count| count.used).collect();
    let under_way: Vec<u64> = refused.holds.iter().map(|count| count.under_way).collect();
    assert_eq!(
        (used, under_way),
        (vec![1], vec![1, 1]),
        "the refused one is nowhere"
    );
    for key in ["a", "b"] {
        let left: i64 = redis::cmd("PTTL").arg(key).query(&mut connection).unwrap();
        assert!(left > 0, "{key} would stay for ever");
    }
    let arguments = lease_release_arguments(&holds, &name(1));
    evaluate(&mut connection, LEASE_RELEASE_V1, arguments);
    assert!(take(&mut connection, takes, &holds, &name(2), None).passes);
}

#[test]
fn a_dead_holders_place_is_free_after_its_lease_and_a_renewed_one_is_not() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let holds = [hold("a", 1)];
    let now = 1_700_000_000_000;
    assert!(take(&mut connection, &[], &holds, &name(1), Some(now)).passes);
    let later = now + LEASE_MS - 1;
    assert!(!take(&mut connection, &[], &holds, &name(2), Some(later)).passes);
    let arguments = lease_renew_arguments(&holds, &name(1), Some(later));
    evaluate(&mut connection, LEASE_RENEW_V1, arguments);
    let after = now + LEASE_MS;
    assert!(!take(&mut connection, &[], &holds, &name(2), Some(after)).passes);
    let end = later + LEASE_MS;
    assert!(take(&mut connection, &[], &holds, &name(2), Some(end)).passes);
}

#[derive(Debug, Clone)]
enum Step {
    Take(Vec<(usize, u32, bool)>),
    Renew(u32),
    Release(u32),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rules = prop::collection::vec((0..3_usize, 1..4_u32, prop::bool::weighted(0.2)), 0..4);
    let step = prop_oneof![
        6 => rules.prop_map(Step::Take),
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
        let mut held: BTreeMap<u32, Vec<Hold>> = BTreeMap::new();
        let mut number = 0;
        for step in steps {
            match step {
                Step::Wait(time) => now += time,
                Step::Take(rules) => {
                    let mut holds: Vec<Hold> = Vec::new();
                    for (key, limit, dry_run) in rules {
                        let key = format!("{run}:{key}");
                        if holds.iter().all(|hold| hold.key != key) {
                            holds.push(Hold { key, limit, dry_run });
                        }
                    }
                    let expected = model.take_and_hold(now, &[], &holds, &name(number));
                    let taken = take(connection, &[], &holds, &name(number), Some(now));
                    prop_assert_eq!(&taken, &expected);
                    for (hold, count) in holds.iter().zip(&taken.holds) {
                        if taken.passes && !hold.dry_run {
                            prop_assert!(count.under_way <= u64::from(hold.limit));
                        }
                    }
                    if taken.passes {
                        let kept = holds.into_iter().zip(&taken.holds);
                        let kept = kept.filter(|(_, count)| !count.full).map(|(hold, _)| hold);
                        held.insert(number, kept.collect());
                    }
                    number += 1;
                }
                Step::Renew(number) => {
                    if let Some(holds) = held.get(&number) {
                        model.renew(now, holds, &name(number));
                        let arguments = lease_renew_arguments(holds, &name(number), Some(now));
                        evaluate(connection, LEASE_RENEW_V1, arguments);
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

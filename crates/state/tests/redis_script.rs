//! The limits' script on a real Redis does what the model in memory does.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

mod redis_server;

use std::cell::RefCell;
use std::time::Duration;

use proptest::prelude::*;
use redis::Connection;
use redis_server::RedisServer;
use spillway_platform::{Admission, Admitted, Charge, LeaseName, Mode, NewValues, Settled};
use spillway_state::{
    LIMIT_CHARGE_V5, LIMIT_SETTLE_V2, MemoryStore, limit_charge_arguments, limit_settle_arguments,
    read_limit_charge, script_sha1,
};

const SLACK_MS: u64 = 1_000;

fn take(key: &str, limit: u32, window_ms: u64) -> Charge {
    new_take(key, limit, window_ms, 0)
}

fn new_take(key: &str, limit: u32, window_ms: u64, cost_when_new: u32) -> Charge {
    Charge {
        key: key.to_owned(),
        cost: 1,
        limit: u64::from(limit),
        mode: Mode::Count {
            window_ms,
            cost_when_new,
        },
        dry_run: false,
    }
}

/// What is sent for these charges.
fn arguments(
    charges: &[Charge],
    new_values: Option<&NewValues>,
    now_ms: Option<u64>,
) -> Vec<String> {
    let asked = Admission {
        charges,
        lease: &no_lease(),
        new_values,
    };
    limit_charge_arguments(asked, now_ms)
}

/// Nothing is held where there is no rule on what is in flight.
fn no_lease() -> LeaseName {
    LeaseName(String::new())
}

fn call(connection: &mut Connection, takes: &[Charge], now_ms: Option<u64>) -> Admitted {
    call_bounded(connection, takes, None, now_ms)
}

fn call_bounded(
    connection: &mut Connection,
    takes: &[Charge],
    new_values: Option<&NewValues>,
    now_ms: Option<u64>,
) -> Admitted {
    let answer: Vec<i64> = redis::cmd("EVAL")
        .arg(LIMIT_CHARGE_V5)
        .arg(arguments(takes, new_values, now_ms))
        .query(connection)
        .unwrap();
    read_limit_charge(&answer, takes).unwrap()
}

fn milliseconds_left(connection: &mut Connection, key: &str) -> i64 {
    redis::cmd("PTTL").arg(key).query(connection).unwrap()
}

fn sub_windows(connection: &mut Connection, key: &str) -> usize {
    redis::cmd("HLEN").arg(key).query(connection).unwrap()
}

#[test]
fn the_digest_is_the_scripts() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let digest: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(LIMIT_CHARGE_V5)
        .query(&mut connection)
        .unwrap();
    assert_eq!(digest, script_sha1(LIMIT_CHARGE_V5));
    let takes = [take("a", 1, 60_000)];
    let answer: Vec<i64> = redis::cmd("EVALSHA")
        .arg(script_sha1(LIMIT_CHARGE_V5))
        .arg(arguments(&takes, None, None))
        .query(&mut connection)
        .unwrap();
    assert!(read_limit_charge(&answer, &takes).unwrap().passes);
}

#[test]
fn without_a_given_time_it_is_redis_own() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let takes = [take("second", 1, 1_000), take("day", 1_000, 86_400_000)];
    let refused = loop {
        let taken = call(&mut connection, &takes, None);
        if !taken.passes {
            break taken;
        }
    };
    let [second, day] = refused.charges.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!((second.used, second.remaining, second.full), (1, 0, true));
    assert!(!day.full);
    for (take, count) in takes.iter().zip(&refused.charges) {
        let longest = (take.window_ms().unwrap() * 7).div_ceil(6);
        assert!(count.reset_ms > 0 && count.reset_ms <= longest, "{count:?}");
        let left = milliseconds_left(&mut connection, &take.key);
        assert!(left > 0 && left as u64 <= longest + SLACK_MS, "{left}");
    }
    std::thread::sleep(Duration::from_millis(second.reset_ms));
    assert!(call(&mut connection, &takes, None).passes);
    // The key is gone by itself once no window has any of it.
    std::thread::sleep(Duration::from_millis(1_167 + SLACK_MS + 100));
    assert_eq!(milliseconds_left(&mut connection, "second"), -2);
}

#[test]
fn many_connections_at_once_share_one_count() {
    let server = RedisServer::start();
    let passed: usize = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let mut connection = server.connect();
                scope.spawn(move || {
                    let takes = [take("shared", 10, 60_000), take("other", 100, 60_000)];
                    (0..25)
                        .filter(|_| call(&mut connection, &takes, None).passes)
                        .count()
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).sum()
    });
    assert_eq!(passed, 10);
    let mut connection = server.connect();
    let other = call(&mut connection, &[take("other", 100, 60_000)], None);
    assert_eq!(other.charges[0].used, 11);
}

#[test]
fn a_full_redis_leaves_no_rule_half_taken() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let takes = [take("first", 10, 60_000), take("second", 10, 60_000)];
    assert!(call(&mut connection, &takes, Some(60_000)).passes);
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .exec(&mut connection)
        .unwrap();
    // In another sub-window, so that old fields would be removed first.
    let error = redis::cmd("EVAL")
        .arg(LIMIT_CHARGE_V5)
        .arg(arguments(&takes, None, Some(75_000)))
        .query::<Vec<i64>>(&mut connection)
        .unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "0"])
        .exec(&mut connection)
        .unwrap();
    let taken = call(&mut connection, &takes, Some(75_000));
    assert_eq!((taken.charges[0].used, taken.charges[1].used), (2, 2));
}

fn settle(connection: &mut Connection, settled: &[Settled], name: &str) {
    redis::cmd("EVAL")
        .arg(LIMIT_SETTLE_V2)
        .arg(limit_settle_arguments(
            settled,
            &LeaseName(name.to_owned()),
            None,
        ))
        .exec(connection)
        .unwrap();
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

fn keys(connection: &mut Connection) -> usize {
    redis::cmd("DBSIZE").query(connection).unwrap()
}

#[test]
fn what_is_forgotten_leaves_nothing_and_others_stay_counted() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let day = [take("day", 9, 86_400_000)];
    let now = 1_700_000_000_000;
    let alone = call(&mut connection, &day, Some(now));
    settle(&mut connection, &counted(&day, &alone), "a");
    assert_eq!(
        keys(&mut connection),
        1,
        "nobody else was counted, and for a moment it is known that this was settled"
    );

    let first = call(&mut connection, &day, Some(now));
    call(&mut connection, &day, Some(now));
    let later = call(&mut connection, &day, Some(now + 15_000_000));
    for _ in 0..3 {
        settle(&mut connection, &counted(&day, &first), "b");
    }
    settle(&mut connection, &counted(&day, &later), "c");
    let used = |connection: &mut Connection| call(connection, &day, Some(now)).charges[0].used;
    assert_eq!(used(&mut connection), 2, "one of the three, and this one");
    assert!(milliseconds_left(&mut connection, "day") > 0);

    // A sub-window that is over is none of those that count now.
    let minute = [take("minute", 9, 60_000)];
    let old = call(&mut connection, &minute, Some(now));
    call(&mut connection, &minute, Some(now + 120_000));
    settle(&mut connection, &counted(&minute, &old), "d");
    let taken = call(&mut connection, &minute, Some(now + 120_000));
    assert_eq!(taken.charges[0].used, 2);
}

#[test]
fn a_client_begins_so_many_windows_a_second_and_what_is_refused_writes_nothing() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let new_values = |client: &str| NewValues {
        key: client.to_owned(),
        allowance: 20,
    };
    let (one, other) = (new_values("one"), new_values("other"));
    let new = |key: &str, cost_when_new: u32, dry_run: bool| Charge {
        dry_run,
        ..new_take(key, 9, 86_400_000, cost_when_new)
    };
    let now = 1_700_000_000_500;
    let mut ask = |takes: &[Charge], client: &NewValues, now| {
        let taken = call_bounded(&mut connection, takes, Some(client), Some(now));
        (taken.passes, taken.too_many_new, keys(&mut connection))
    };
    // The dearest of a request counts.
    assert_eq!(
        ask(&[new("a", 10, false), new("b", 1, false)], &one, now),
        (true, false, 3)
    );
    assert_eq!(ask(&[new("c", 10, false)], &one, now), (true, false, 4));
    assert_eq!(ask(&[new("d", 1, false)], &one, now), (false, true, 4));
    assert_eq!(
        ask(&[new("a", 10, false)], &one, now),
        (true, false, 4),
        "known"
    );
    assert_eq!(
        ask(&[new("d", 0, false)], &one, now),
        (true, false, 5),
        "none of a client's"
    );
    assert_eq!(
        ask(&[new("e", 10, true)], &one, now),
        (true, false, 5),
        "a dry run"
    );
    assert_eq!(
        ask(&[new("e", 10, false)], &other, now),
        (true, false, 7),
        "somebody else"
    );
    assert_eq!(
        ask(&[new("f", 10, false)], &one, now + 500),
        (true, false, 8),
        "a second later"
    );
    assert!(milliseconds_left(&mut connection, "one") <= 2_000);
}

/// One request: by how much the clock moves before it (back, too), its rules, and whether it is forgotten.
type Request = (i64, Vec<Rule>, bool);

/// Which key, limit, which window, dry run, what it costs when new.
type Rule = (usize, u32, usize, bool, u32, u32);

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let step = prop_oneof![
        4 => Just(0_i64),
        4 => 0..200_i64,
        3 => 0..11_000_i64,
        1 => 0..200_000_i64,
        1 => -200..0_i64,
        1 => -90_000..0_i64,
    ];
    let rule = (
        0..3_usize,
        1..6_u32,
        0..3_usize,
        prop::bool::weighted(0.2),
        0..3_u32,
        1..4_u32,
    );
    let rules = prop::collection::vec(rule, 0..6);
    prop::collection::vec((step, rules, prop::bool::weighted(0.2)), 1..60)
}

/// A key has one window and stands once in a request, as it does outside of tests.
fn takes(prefix: &str, rules: &[Rule]) -> Vec<Charge> {
    let mut takes: Vec<Charge> = Vec::new();
    for (key, limit, window, dry_run, cost_when_new, cost) in rules {
        let window_ms = [1_000, 60_000, 777][*window];
        let key = format!("{prefix}:{key}:{window_ms}");
        if takes.iter().all(|take| take.key != key) {
            takes.push(Charge {
                cost: u64::from(*cost),
                dry_run: *dry_run,
                ..new_take(&key, *limit, window_ms, *cost_when_new)
            });
        }
    }
    takes
}

#[test]
fn random_schedules_end_as_in_the_model() {
    let server = RedisServer::start();
    let state = RefCell::new((server.connect(), 0_u32));
    let configuration = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let allowances = prop::option::of(0..5_u32);
    proptest!(configuration, |(requests in requests(), allowance in allowances)| {
        let (connection, run) = &mut *state.borrow_mut();
        *run += 1;
        let mut model = MemoryStore::default();
        let (mut now, mut number) = (1_700_000_000_000_u64, 0);
        let new_values = allowance.map(|allowance| NewValues { key: format!("{run}:client"), allowance });
        for (step, rules, is_forgotten) in requests {
            now = now.saturating_add_signed(step);
            let takes = takes(&run.to_string(), &rules);
            let expected = model.charge_bounded(now, &takes, new_values.as_ref());
            let taken = call_bounded(connection, &takes, new_values.as_ref(), Some(now));
            prop_assert_eq!(&taken, &expected);
            if is_forgotten {
                let actual = u64::from(step.unsigned_abs() % 2 == 1);
                let mut settled = counted(&takes, &taken);
                settled.iter_mut().for_each(|it| it.actual = actual * 5);
                number += 1;
                let name = format!("{run}:{number}");
                settle(connection, &settled, &name);
                model.settle(0, &settled, &LeaseName(name));
                continue;
            }
            for (take, count) in takes.iter().zip(&expected.charges) {
                prop_assert_eq!(sub_windows(connection, &take.key), model.sub_windows(&take.key));
                if count.used > 0 {
                    let left = milliseconds_left(connection, &take.key);
                    let longest = take.window_ms().unwrap() * 14 / 6 + SLACK_MS;
                    prop_assert!(left > 0 && left as u64 <= longest, "{left} of {longest}");
                }
            }
        }
    });
}

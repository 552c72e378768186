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
use spillway_store::{
    LIMIT_TAKE_V2, LIMIT_TAKE_V2_SHA1, LeaseName, MemoryStore, Take, Taken, limit_take_arguments,
    read_limit_take,
};

const SLACK_MS: u64 = 1_000;

fn take(key: &str, limit: u32, window_ms: u64) -> Take {
    Take {
        key: key.to_owned(),
        limit,
        window_ms,
        dry_run: false,
    }
}

/// Nothing is held where there is no rule on what is under way.
fn no_lease() -> LeaseName {
    LeaseName(String::new())
}

fn call(connection: &mut Connection, takes: &[Take], now_ms: Option<u64>) -> Taken {
    let answer: Vec<i64> = redis::cmd("EVAL")
        .arg(LIMIT_TAKE_V2)
        .arg(limit_take_arguments(takes, &[], &no_lease(), now_ms))
        .query(connection)
        .unwrap();
    read_limit_take(&answer, takes.len(), 0).unwrap()
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
        .arg(LIMIT_TAKE_V2)
        .query(&mut connection)
        .unwrap();
    assert_eq!(digest, LIMIT_TAKE_V2_SHA1);
    let takes = [take("a", 1, 60_000)];
    let answer: Vec<i64> = redis::cmd("EVALSHA")
        .arg(LIMIT_TAKE_V2_SHA1)
        .arg(limit_take_arguments(&takes, &[], &no_lease(), None))
        .query(&mut connection)
        .unwrap();
    assert!(read_limit_take(&answer, 1, 0).unwrap().passes);
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
    let [second, day] = refused.counts.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!((second.used, second.remaining, second.full), (1, 0, true));
    assert!(!day.full);
    for (take, count) in takes.iter().zip(&refused.counts) {
        let longest = (take.window_ms * 7).div_ceil(6);
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
    assert_eq!(other.counts[0].used, 11);
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
        .arg(LIMIT_TAKE_V2)
        .arg(limit_take_arguments(&takes, &[], &no_lease(), Some(75_000)))
        .query::<Vec<i64>>(&mut connection)
        .unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "0"])
        .exec(&mut connection)
        .unwrap();
    let taken = call(&mut connection, &takes, Some(75_000));
    assert_eq!((taken.counts[0].used, taken.counts[1].used), (2, 2));
}

/// One request: by how much the clock moves before it (back, too), and its rules.
type Request = (i64, Vec<(usize, u32, usize, bool)>);

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let step = prop_oneof![
        4 => Just(0_i64),
        4 => 0..200_i64,
        3 => 0..11_000_i64,
        1 => 0..200_000_i64,
        1 => -200..0_i64,
        1 => -90_000..0_i64,
    ];
    // Which key, limit, which window, dry run.
    let rule = (0..3_usize, 1..6_u32, 0..3_usize, prop::bool::weighted(0.2));
    prop::collection::vec((step, prop::collection::vec(rule, 0..6)), 1..60)
}

/// A key has one window and stands once in a request, as it does outside of tests.
fn takes(prefix: &str, rules: &[(usize, u32, usize, bool)]) -> Vec<Take> {
    let mut takes: Vec<Take> = Vec::new();
    for (key, limit, window, dry_run) in rules {
        let window_ms = [1_000, 60_000, 777][*window];
        let key = format!("{prefix}:{key}:{window_ms}");
        if takes.iter().all(|take| take.key != key) {
            takes.push(Take {
                key,
                limit: *limit,
                window_ms,
                dry_run: *dry_run,
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
    proptest!(configuration, |(requests in requests())| {
        let (connection, run) = &mut *state.borrow_mut();
        *run += 1;
        let mut model = MemoryStore::default();
        let mut now = 1_700_000_000_000_u64;
        for (step, rules) in requests {
            now = now.saturating_add_signed(step);
            let takes = takes(&run.to_string(), &rules);
            let expected = model.take(now, &takes);
            prop_assert_eq!(call(connection, &takes, Some(now)), expected.clone());
            for (take, count) in takes.iter().zip(&expected.counts) {
                prop_assert_eq!(sub_windows(connection, &take.key), model.sub_windows(&take.key));
                if count.used > 0 {
                    let left = milliseconds_left(connection, &take.key);
                    let longest = take.window_ms * 14 / 6 + SLACK_MS;
                    prop_assert!(left > 0 && left as u64 <= longest, "{left} of {longest}");
                }
            }
        }
    });
}

//! The index of limits on a real Redis: what it forgets, and when.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

mod redis_server;

use std::collections::BTreeMap;

use redis::Connection;
use redis_server::RedisServer;
use spillway_platform::{IndexedLimit, LIMIT_KEY_PREFIX, MAX_INDEXED_LIMITS};
use spillway_state::{LIMIT_INDEX_V1, limit_index_arguments};

const NOW: u64 = 1_700_000_000;

/// For how long the index keeps what nobody uses, in seconds.
const KEPT: u64 = 2 * 24 * 60 * 60;

fn limits(names: std::ops::Range<usize>) -> Vec<IndexedLimit> {
    names
        .map(|number| IndexedLimit {
            key: format!("key-{number:04}"),
            description: format!("what {number} counts"),
        })
        .collect()
}

fn add(connection: &mut Connection, limits: &[IndexedLimit], now: u64) {
    redis::cmd("EVAL")
        .arg(LIMIT_INDEX_V1)
        .arg(limit_index_arguments(limits, Some(now)))
        .exec(connection)
        .unwrap();
}

fn index(connection: &mut Connection) -> BTreeMap<String, String> {
    redis::cmd("HGETALL")
        .arg(format!("{LIMIT_KEY_PREFIX}index"))
        .query(connection)
        .unwrap()
}

#[test]
fn the_thousand_that_were_used_last_are_kept_for_two_days() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    add(connection, &limits(0..600), NOW);
    add(connection, &limits(600..1_100), NOW + 1);
    let kept = index(connection);
    assert_eq!(kept.len(), MAX_INDEXED_LIMITS);
    assert!(!kept.contains_key("key-0099") && kept.contains_key("key-0100"));
    assert_eq!(kept.get("key-1099").unwrap(), "what 1099 counts");
    // Those that are used again stay, the others go.
    add(connection, &limits(100..200), NOW + 2);
    add(connection, &limits(1_100..1_101), NOW + 1 + KEPT);
    let kept = index(connection);
    assert_eq!(kept.len(), 101);
    assert!(kept.contains_key("key-0150") && kept.contains_key("key-1100"));
}

#[test]
fn half_an_index_that_a_full_redis_has_left_is_begun_anew() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    add(connection, &limits(0..10), NOW);
    for half in ["index", "index:used"] {
        redis::cmd("DEL")
            .arg(format!("{LIMIT_KEY_PREFIX}{half}"))
            .exec(connection)
            .unwrap();
        add(connection, &limits(20..25), NOW);
        assert_eq!(index(connection).len(), 5, "without {half}");
    }
}

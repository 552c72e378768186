//! What instances tell each other of endpoints and keys, on a real Redis.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

mod redis_server;

use redis::Connection;
use redis_server::RedisServer;
use spillway_platform::PoolEntry;
use spillway_state::{
    POOL_READ_V3, POOL_WRITE_V3, nonce_claim_arguments, pool_read_arguments, pool_write_arguments,
    probe_claim_arguments, read_pools,
};

fn write(connection: &mut Connection, name: &str, to: Option<(&str, u64)>, now_ms: Option<u64>) {
    redis::cmd("EVAL")
        .arg(POOL_WRITE_V3)
        .arg(pool_write_arguments("openai", name, to, now_ms))
        .exec(connection)
        .unwrap();
}

/// All of them, their ages as 0.
fn read(connection: &mut Connection, now_ms: Option<u64>) -> Vec<PoolEntry> {
    let entries = read_with_ages(connection, now_ms);
    let without = |entry| PoolEntry { age_ms: 0, ..entry };
    entries.into_iter().map(without).collect()
}

fn read_with_ages(connection: &mut Connection, now_ms: Option<u64>) -> Vec<PoolEntry> {
    let answer: Vec<Vec<u8>> = redis::cmd("EVAL")
        .arg(POOL_READ_V3)
        .arg(pool_read_arguments(&["other", "openai"], now_ms))
        .query(connection)
        .unwrap();
    let mut pools = read_pools(&answer, 2);
    let mut entries = pools.pop().unwrap();
    assert_eq!(pools, [Vec::new()]);
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    entries
}

fn entry(name: &str, state: &str, rest_ms: u64) -> PoolEntry {
    PoolEntry {
        name: name.to_owned(),
        state: state.to_owned(),
        rest_ms,
        age_ms: 0,
    }
}

#[test]
fn an_entry_says_since_when_it_holds() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    let now = 1_800_000_000_000;
    let age = |connection: &mut Connection, now| {
        let entries = read_with_ages(connection, Some(now));
        entries.first().map(|entry| entry.age_ms)
    };
    write(connection, "key k", Some(("cooling", 90_000)), Some(now));
    assert_eq!(age(connection, now + 61_000), Some(61_000));
    // Found again, and no news.
    write(
        connection,
        "key k",
        Some(("cooling", 1_000)),
        Some(now + 61_000),
    );
    assert_eq!(age(connection, now + 61_000), Some(61_000));
    write(
        connection,
        "key k",
        Some(("cooling", 90_000)),
        Some(now + 61_000),
    );
    assert_eq!(age(connection, now + 61_000), Some(0));
}

#[test]
fn entries_last_as_long_as_they_say_and_may_be_taken_away() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    let now = 1_800_000_000_000;
    assert!(read(connection, Some(now)).is_empty());
    write(
        connection,
        "endpoint http://a:1/v1",
        Some(("open", 10_000)),
        Some(now),
    );
    write(
        connection,
        "key 12ab",
        Some(("out", 2_592_000_000)),
        Some(now),
    );
    assert_eq!(
        read(connection, Some(now + 4_000)),
        [
            entry("endpoint http://a:1/v1", "open", 6_000),
            entry("key 12ab", "out", 2_591_996_000)
        ]
    );
    assert_eq!(
        read(connection, Some(now + 10_000)),
        [entry("key 12ab", "out", 2_591_990_000)]
    );
    write(connection, "key 12ab", None, Some(now + 10_000));
    assert!(
        read(connection, Some(now)).is_empty(),
        "what had ended is gone as well"
    );
}

#[test]
fn the_later_end_holds_and_another_state_replaces() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    let now = 1_800_000_000_000;
    write(connection, "key k", Some(("cooling", 30_000)), Some(now));
    write(connection, "key k", Some(("cooling", 2_000)), Some(now));
    assert_eq!(
        read(connection, Some(now)),
        [entry("key k", "cooling", 30_000)]
    );
    write(connection, "key k", Some(("out", 1_000)), Some(now));
    write(connection, "key k", Some(("cooling", 60_000)), Some(now));
    assert_eq!(read(connection, Some(now)), [entry("key k", "out", 1_000)]);
}

/// A call that was served before a probe was refused may be told of after it.
#[test]
fn what_speaks_for_a_key_is_not_lost_to_older_news() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    let now = 1_800_000_000_000;
    for (told, known) in [
        ("served", "served"),
        ("doubted", "doubted"),
        ("served", "doubted"),
        ("trusted", "trusted"),
        ("served", "trusted"),
        ("doubted", "trusted"),
    ] {
        write(connection, "trust k", Some((told, 90_000)), Some(now));
        assert_eq!(
            read(connection, Some(now)),
            [entry("trust k", known, 90_000)],
            "after {told}"
        );
    }
    let later = now + 90_000;
    write(connection, "trust k", Some(("served", 1_000)), Some(later));
    assert_eq!(
        read(connection, Some(later)),
        [entry("trust k", "served", 1_000)]
    );
}

#[test]
fn without_a_given_time_it_is_redis_own_and_the_hash_expires() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    write(connection, "key k", Some(("cooling", 30_000)), None);
    let entries = read(connection, None);
    assert!(
        matches!(entries.as_slice(), [only] if (20_000..=30_000).contains(&only.rest_ms)),
        "{entries:?}"
    );
    let rest: i64 = redis::cmd("PTTL")
        .arg("spillway:{pool:openai}:v3")
        .query(connection)
        .unwrap();
    assert!((1..=30_000).contains(&rest), "{rest}");
}

#[test]
fn what_somebody_else_wrote_spoils_nothing_beside_it() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    let now = 1_800_000_000_000;
    write(connection, "key k", Some(("cooling", 30_000)), Some(now));
    redis::cmd("HSET")
        .arg("spillway:{pool:openai}:v3")
        .arg(&[0xff_u8, 0xfe][..])
        .arg(format!("out:{}:{now}", now + 1_000))
        .exec(connection)
        .unwrap();
    redis::cmd("SET")
        .arg(&["spillway:{pool:other}:v3", "x"])
        .exec(connection)
        .unwrap();
    assert_eq!(
        read(connection, Some(now)),
        [entry("key k", "cooling", 30_000)]
    );
}

#[test]
fn claims_are_granted_once() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    for arguments in [
        probe_claim_arguments("openai", "12ab"),
        nonce_claim_arguments("cd34", 5_000, "me"),
    ] {
        let mut claim =
            || -> Option<String> { redis::cmd("SET").arg(&arguments).query(connection).unwrap() };
        assert_eq!(claim().as_deref(), Some("OK"));
        assert_eq!(claim(), None);
    }
}

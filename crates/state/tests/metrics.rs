//! Totals in a real Redis.
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
use spillway_state::{METRICS_ADD_V2, metrics_add_arguments};

const KEY: &str = "spillway:{metrics}:v";

fn add(connection: &mut Connection, amounts: &[(&str, u64)]) {
    let amounts: Vec<(String, u64)> = amounts
        .iter()
        .map(|(series, amount)| ((*series).to_owned(), *amount))
        .collect();
    redis::cmd("EVAL")
        .arg(METRICS_ADD_V2)
        .arg(metrics_add_arguments("v", &amounts))
        .exec(connection)
        .unwrap();
}

fn totals(connection: &mut Connection) -> BTreeMap<String, u64> {
    redis::cmd("HGETALL").arg(KEY).query(connection).unwrap()
}

fn of(totals: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let owned = totals
        .iter()
        .map(|(series, it)| ((*series).to_owned(), *it));
    owned.collect()
}

#[test]
fn amounts_add_up_and_one_that_cannot_be_added_stops_no_other() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let most = u64::try_from(i64::MAX).unwrap();
    add(&mut connection, &[("a", 1), ("full", most)]);
    add(&mut connection, &[("full", 1), ("a", 2), ("b", 3)]);
    assert_eq!(
        totals(&mut connection),
        of(&[("a", 3), ("b", 3), ("full", most)])
    );
}

#[test]
fn a_series_that_has_not_grown_for_a_month_is_forgotten() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    add(&mut connection, &[("old", 1), ("young", 1)]);
    redis::cmd("ZINCRBY")
        .arg(format!("{KEY}:changed"))
        .arg(-31 * 24 * 3600)
        .arg("old")
        .exec(&mut connection)
        .unwrap();
    add(&mut connection, &[("new", 1)]);
    assert_eq!(totals(&mut connection), of(&[("new", 1), ("young", 1)]));
    for key in [KEY.to_owned(), format!("{KEY}:changed")] {
        let seconds: i64 = redis::cmd("TTL").arg(key).query(&mut connection).unwrap();
        assert!(seconds > 29 * 24 * 3600);
    }
}

//! What calls have used: the script on a real Redis knows what the oracle does.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

mod redis_server;

use std::cell::RefCell;
use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use redis::Connection;
use redis_server::RedisServer;
use spillway_platform::{Clock, State, UsageProfile, Waiting};
use spillway_state::{
    Oracle, USAGE_OBSERVE_V1, read_usage_profile, usage_observe_arguments, usage_profile_arguments,
};

#[derive(Clone)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn since_1970(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + 'static {
        std::future::ready(())
    }
}

/// The oracle never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn observe(connection: &mut Connection, name: &str, amount: u64) {
    let _: i64 = redis::cmd("EVAL")
        .arg(USAGE_OBSERVE_V1)
        .arg(usage_observe_arguments(name, amount))
        .query(connection)
        .unwrap();
}

fn profile(connection: &mut Connection, name: &str) -> Option<UsageProfile> {
    let (calls, bucket): (Option<String>, Option<String>) = redis::cmd("HMGET")
        .arg(usage_profile_arguments(name))
        .query(connection)
        .unwrap();
    read_usage_profile(calls.as_deref(), bucket.as_deref())
}

#[test]
fn redis_and_the_oracle_know_the_same() {
    let redis = RedisServer::start();
    let connection = RefCell::new(redis.connect());
    let history = prop::collection::vec((0..3_usize, 0_u64..100_000), 1..200);
    let bursts = prop::collection::vec((history, 1..8_usize), 1..4);
    let config = ProptestConfig::with_cases(40);
    proptest!(config, |(bursts in bursts)| {
        let mut connection = connection.borrow_mut();
        let _: () = redis::cmd("FLUSHALL").query(&mut connection).unwrap();
        let oracle = Oracle::new(Still);
        prop_assert_eq!(profile(&mut connection, "0"), None);
        for (history, repeats) in &bursts {
            // Repeated, so that old observations fade.
            for _ in 0..*repeats {
                for (name, amount) in history {
                    let name = name.to_string();
                    observe(&mut connection, &name, *amount);
                    at_once(oracle.observe_usage(&name, *amount)).unwrap();
                }
            }
            for name in ["0", "1", "2"] {
                let known = at_once(oracle.usage_profile(name, Waiting::Nobody)).unwrap();
                prop_assert_eq!(profile(&mut connection, name), known);
            }
        }
    });
    let connection = &mut connection.borrow_mut();
    observe(connection, "lives", 7);
    let key = usage_profile_arguments("lives").swap_remove(0);
    let rest: i64 = redis::cmd("PTTL").arg(key).query(connection).unwrap();
    assert!(rest > 0, "{rest}");
}

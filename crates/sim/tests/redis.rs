//! What the store did in simulated histories a real Redis does as well: the same operations, the same answers.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

#[path = "../../state/tests/redis_server/mod.rs"]
mod redis_server;

use std::collections::BTreeSet;

use redis::Connection;
use redis_server::RedisServer;
use spillway_platform::{Admission, IndexedLimit, LIMIT_KEY_PREFIX, PoolEntry, StateError};
use spillway_platform_sim::{StoreAnswer, StoreEvent, StoreOperation};
use spillway_sim::plan::Strike;
use spillway_state::{
    LEASE_RELEASE_V1, LEASE_RENEW_V2, LIMIT_CHARGE_V5, LIMIT_INDEX_V1, LIMIT_READ_V1,
    LIMIT_SETTLE_V2, METRICS_ADD_V2, POOL_READ_V3, POOL_WRITE_V3, USAGE_OBSERVE_V1,
    lease_release_arguments, lease_renew_arguments, limit_charge_arguments, limit_index_arguments,
    limit_read_arguments, limit_settle_arguments, metrics_add_arguments, nonce_claim_arguments,
    pool_read_arguments, pool_write_arguments, read_limit_charge, read_limit_standings, read_pools,
    read_usage_profile, usage_observe_arguments, usage_profile_arguments,
};

/// The first of so many seeds.
const SEEDS: std::ops::Range<u64> = 1..150;

#[test]
fn a_real_redis_answers_as_the_simulated_store_did() {
    let server = RedisServer::start();
    let connection = &mut server.connect();
    let mut compared = 0_usize;
    let mut kinds = BTreeSet::new();
    for seed in SEEDS {
        forget_everything(connection);
        let history = spillway_sim::run(&spillway_sim::plan(seed));
        let losses = history
            .strikes
            .iter()
            .filter(|struck| struck.what == Strike::StoreLoss);
        let losses: Vec<usize> = losses.map(|struck| struck.store_events).collect();
        for (index, event) in history.store.iter().enumerate() {
            if losses.contains(&index) {
                forget_everything(connection);
            }
            if let Some(answer) = ask(connection, event) {
                assert_eq!(
                    Ok(answer),
                    in_order(&event.answer),
                    "seed {seed}: {:?}",
                    event.operation
                );
                compared += 1;
                kinds.insert(event.operation.name());
            }
        }
    }
    let expected = [
        "add_totals",
        "admit",
        "claim_nonce",
        "index_limits",
        "indexed_limits",
        "observe_usage",
        "pool_read",
        "pool_write",
        "read_limits",
        "release",
        "renew",
        "settle",
        "usage_profile",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
    assert!(compared > 5_000, "{compared}");
}

fn forget_everything(connection: &mut Connection) {
    redis::cmd("FLUSHALL").exec(connection).unwrap();
}

fn evaluate<T: redis::FromRedisValue>(
    connection: &mut Connection,
    script: &str,
    arguments: Vec<String>,
) -> T {
    redis::cmd("EVAL")
        .arg(script)
        .arg(arguments)
        .query(connection)
        .unwrap()
}

/// What a real one says at the time of the event; nothing of what depends on how fast time passes there.
fn ask(connection: &mut Connection, event: &StoreEvent) -> Option<StoreAnswer> {
    let now = u64::try_from(event.since_1970.as_millis()).unwrap();
    let mut change = |script, arguments| {
        let _: i64 = evaluate(connection, script, arguments);
        StoreAnswer::Done
    };
    Some(match &event.operation {
        StoreOperation::Admit {
            charges,
            lease,
            new_values,
        } => {
            let asked = Admission {
                charges,
                lease,
                new_values: new_values.as_ref(),
            };
            let arguments = limit_charge_arguments(asked, Some(now));
            let answer: Vec<i64> = evaluate(connection, LIMIT_CHARGE_V5, arguments);
            StoreAnswer::Admitted(read_limit_charge(&answer, charges).unwrap())
        }
        StoreOperation::Settle(settled, name) => change(
            LIMIT_SETTLE_V2,
            limit_settle_arguments(settled, name, Some(now)),
        ),
        StoreOperation::Renew(charges, lease) => change(
            LEASE_RENEW_V2,
            lease_renew_arguments(charges, lease, Some(now)),
        ),
        StoreOperation::Release(charges, lease) => {
            change(LEASE_RELEASE_V1, lease_release_arguments(charges, lease))
        }
        StoreOperation::PoolWrite { provider, name, to } => {
            let to = to.as_ref().map(|(state, time)| (state.as_str(), *time));
            change(
                POOL_WRITE_V3,
                pool_write_arguments(provider, name, to, Some(now)),
            )
        }
        StoreOperation::PoolRead(providers) => {
            let providers: Vec<&str> = providers.iter().map(String::as_str).collect();
            let arguments = pool_read_arguments(&providers, Some(now));
            let answer: Vec<Vec<u8>> = evaluate(connection, POOL_READ_V3, arguments);
            StoreAnswer::Pools(sorted(read_pools(&answer, providers.len())))
        }
        StoreOperation::ClaimNonce {
            nonce,
            until,
            claimant,
        } => {
            let rest = until.saturating_sub(event.since_1970).as_millis();
            let arguments = nonce_claim_arguments(nonce, u64::try_from(rest).unwrap(), claimant);
            let set: Option<String> = redis::cmd("SET").arg(&arguments).query(connection).unwrap();
            let by: String = redis::cmd("GET")
                .arg(arguments.first())
                .query(connection)
                .unwrap();
            StoreAnswer::Claimed(set.is_some() || by == *claimant)
        }
        StoreOperation::AddTotals(version, amounts) => {
            let _: redis::Value = evaluate(
                connection,
                METRICS_ADD_V2,
                metrics_add_arguments(version, amounts),
            );
            StoreAnswer::Done
        }
        StoreOperation::ObserveUsage(name, amount) => {
            change(USAGE_OBSERVE_V1, usage_observe_arguments(name, *amount))
        }
        StoreOperation::UsageProfile(name) => {
            let (calls, bucket): (Option<String>, Option<String>) = redis::cmd("HMGET")
                .arg(usage_profile_arguments(name))
                .query(connection)
                .unwrap();
            StoreAnswer::Usage(read_usage_profile(calls.as_deref(), bucket.as_deref()))
        }
        StoreOperation::IndexLimits(limits) => change(
            LIMIT_INDEX_V1,
            limit_index_arguments(limits, Some(now / 1000)),
        ),
        StoreOperation::IndexedLimits => {
            let limits: std::collections::HashMap<String, String> = redis::cmd("HGETALL")
                .arg(format!("{LIMIT_KEY_PREFIX}index"))
                .query(connection)
                .unwrap();
            let limits = limits
                .into_iter()
                .map(|(key, description)| IndexedLimit { key, description });
            StoreAnswer::Indexed(by_key(limits.collect()))
        }
        StoreOperation::ReadLimits(charges) => {
            let arguments = limit_read_arguments(charges, Some(now));
            let answer: Vec<i64> = evaluate(connection, LIMIT_READ_V1, arguments);
            StoreAnswer::Standings(read_limit_standings(&answer, charges).unwrap())
        }
        StoreOperation::ClaimProbe(..) | StoreOperation::Totals(_) | StoreOperation::Probe => {
            return None;
        }
    })
}

/// A hash of Redis has no order.
fn sorted(mut pools: Vec<Vec<PoolEntry>>) -> Vec<Vec<PoolEntry>> {
    for pool in &mut pools {
        pool.sort_by(|left, right| left.name.cmp(&right.name));
    }
    pools
}

fn by_key(mut limits: Vec<IndexedLimit>) -> Vec<IndexedLimit> {
    limits.sort_by(|left, right| left.key.cmp(&right.key));
    limits
}

fn in_order(answer: &Result<StoreAnswer, StateError>) -> Result<StoreAnswer, StateError> {
    match answer.clone() {
        Ok(StoreAnswer::Pools(pools)) => Ok(StoreAnswer::Pools(sorted(pools))),
        Ok(StoreAnswer::Indexed(limits)) => Ok(StoreAnswer::Indexed(by_key(limits))),
        other => other,
    }
}

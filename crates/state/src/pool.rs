//! What instances tell each other of a provider's endpoints and keys: one hash a provider.

use spillway_platform::PoolEntry;

/// Reads a provider's hash; arguments are [`pool_read_arguments`]'. Answers name, state, the milliseconds that are left,
/// and those since when, in turn.
pub const POOL_READ_V2: &str = include_str!("pool_read_v2.lua");

/// Changes one entry; arguments are [`pool_write_arguments`]'. Answers 1.
pub const POOL_WRITE_V2: &str = include_str!("pool_write_v2.lua");

/// How long one instance has the probing of a key to itself, in milliseconds.
pub const PROBE_CLAIM_MS: u64 = 240_000;

/// What `EVAL` gets after [`POOL_READ_V2`]. `now_ms` is for tests; `None` has the script ask Redis for the time.
pub fn pool_read_arguments(provider: &str, now_ms: Option<u64>) -> Vec<String> {
    vec!["1".to_owned(), pool_key(provider), time(now_ms)]
}

/// What `EVAL` gets after [`POOL_WRITE_V2`]. `to` is a state and how long it lasts, in milliseconds; `None` takes the
/// entry away.
pub fn pool_write_arguments(
    provider: &str,
    name: &str,
    to: Option<(&str, u64)>,
    now_ms: Option<u64>,
) -> Vec<String> {
    let (state, time_ms) = to.unwrap_or(("", 0));
    vec![
        "1".to_owned(),
        pool_key(provider),
        time(now_ms),
        name.to_owned(),
        state.to_owned(),
        time_ms.to_string(),
    ]
}

/// Reads what [`POOL_READ_V2`] answered, as text. Entries that are none are passed over.
pub fn read_pool(answer: &[String]) -> Vec<PoolEntry> {
    answer
        .chunks_exact(4)
        .filter_map(|entry| match entry {
            [name, state, rest, age] => Some(PoolEntry {
                name: name.clone(),
                state: state.clone(),
                rest_ms: rest.parse().ok()?,
                age_ms: age.parse().ok()?,
            }),
            _ => None,
        })
        .collect()
}

/// What `SET` gets so that one instance alone probes a key: `OK` where it is this one.
pub fn probe_claim_arguments(provider: &str, digest: &str) -> Vec<String> {
    vec![
        format!("spillway:{{pool:{provider}}}:probe:{digest}:v1"),
        "1".to_owned(),
        "NX".to_owned(),
        "PX".to_owned(),
        PROBE_CLAIM_MS.to_string(),
    ]
}

fn pool_key(provider: &str) -> String {
    format!("spillway:{{pool:{provider}}}:v2")
}

fn time(now_ms: Option<u64>) -> String {
    now_ms.map_or_else(String::new, |now_ms| now_ms.to_string())
}

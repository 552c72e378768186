//! What instances tell each other of a provider's endpoints and keys: one hash a provider.

use spillway_platform::PoolEntry;

/// Reads the hashes of some providers; arguments are [`pool_read_arguments`]'. Answers for each entry the number of its
/// provider from 1, name, state, the milliseconds that are left, and those since when.
pub const POOL_READ_V3: &str = include_str!("pool_read_v3.lua");

/// Changes one entry; arguments are [`pool_write_arguments`]'. Answers 1.
pub const POOL_WRITE_V3: &str = include_str!("pool_write_v3.lua");

/// How long one instance has the probing of a key to itself, in milliseconds.
pub const PROBE_CLAIM_MS: u64 = 240_000;

/// What `EVAL` gets after [`POOL_READ_V3`]. `now_ms` is for tests; `None` has the script ask Redis for the time.
pub fn pool_read_arguments(providers: &[&str], now_ms: Option<u64>) -> Vec<String> {
    let mut arguments = vec![providers.len().to_string()];
    arguments.extend(providers.iter().map(|provider| pool_key(provider)));
    arguments.push(time(now_ms));
    arguments
}

/// What `EVAL` gets after [`POOL_WRITE_V3`]. `to` is a state and how long it lasts, in milliseconds; `None` takes the
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

/// Reads what [`POOL_READ_V3`] answered of so many providers, text for text: the entries of each, in the order in which
/// they were asked for. Entries that are none are passed over.
pub fn read_pools(answer: &[Vec<u8>], providers: usize) -> Vec<Vec<PoolEntry>> {
    let mut pools = vec![Vec::new(); providers];
    for entry in answer.chunks_exact(5) {
        let texts: Vec<&str> = entry
            .iter()
            .filter_map(|text| std::str::from_utf8(text).ok())
            .collect();
        let [provider, name, state, rest, age] = texts.as_slice() else {
            continue;
        };
        let index = provider
            .parse()
            .ok()
            .and_then(|number: usize| number.checked_sub(1));
        if let (Some(pool), Ok(rest_ms), Ok(age_ms)) = (
            index.and_then(|index| pools.get_mut(index)),
            rest.parse(),
            age.parse(),
        ) {
            pool.push(PoolEntry {
                name: (*name).to_owned(),
                state: (*state).to_owned(),
                rest_ms,
                age_ms,
            });
        }
    }
    pools
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
    format!("spillway:{{pool:{provider}}}:v3")
}

fn time(now_ms: Option<u64>) -> String {
    now_ms.map_or_else(String::new, |now_ms| now_ms.to_string())
}

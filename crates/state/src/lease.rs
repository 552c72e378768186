//! Keeping, and giving up, the places of a request that is under way.

use spillway_platform::{Hold, LEASE_MS, LeaseName};

/// Renews a lease; arguments are [`lease_renew_arguments`]'. Answers 1.
pub const LEASE_RENEW_V1: &str = include_str!("lease_renew_v1.lua");

/// Gives a lease up; arguments are [`lease_release_arguments`]'. Answers 1.
pub const LEASE_RELEASE_V1: &str = include_str!("lease_release_v1.lua");

/// What `EVAL` gets after [`LEASE_RENEW_V1`]. `now_ms` is for tests; `None` has the script ask Redis for the time.
pub fn lease_renew_arguments(
    holds: &[Hold],
    lease: &LeaseName,
    now_ms: Option<u64>,
) -> Vec<String> {
    let mut arguments = keys(holds);
    arguments.push(now_ms.map_or_else(String::new, |now_ms| now_ms.to_string()));
    arguments.push(lease.0.clone());
    arguments.push(LEASE_MS.to_string());
    arguments
}

/// What `EVAL` gets after [`LEASE_RELEASE_V1`].
pub fn lease_release_arguments(holds: &[Hold], lease: &LeaseName) -> Vec<String> {
    let mut arguments = keys(holds);
    arguments.push(lease.0.clone());
    arguments
}

fn keys(holds: &[Hold]) -> Vec<String> {
    std::iter::once(holds.len().to_string())
        .chain(holds.iter().map(|hold| hold.key.clone()))
        .collect()
}

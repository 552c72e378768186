//! Keeping, and giving up, what is in flight.

use spillway_platform::{Charge, LEASE_MS, LeaseName};

/// Renews a lease; arguments are [`lease_renew_arguments`]'. Answers 1.
pub const LEASE_RENEW_V1: &str = include_str!("lease_renew_v1.lua");

/// Gives a lease up; arguments are [`lease_release_arguments`]'. Answers 1.
pub const LEASE_RELEASE_V1: &str = include_str!("lease_release_v1.lua");

/// What `EVAL` gets after [`LEASE_RENEW_V1`]. `now_ms` is for tests; `None` has the script ask Redis for the time.
pub fn lease_renew_arguments(
    in_flight: &[Charge],
    lease: &LeaseName,
    now_ms: Option<u64>,
) -> Vec<String> {
    let mut arguments = keys(in_flight);
    arguments.push(now_ms.map_or_else(String::new, |now_ms| now_ms.to_string()));
    arguments.push(lease.0.clone());
    arguments.push(LEASE_MS.to_string());
    arguments
}

/// What `EVAL` gets after [`LEASE_RELEASE_V1`].
pub fn lease_release_arguments(in_flight: &[Charge], lease: &LeaseName) -> Vec<String> {
    let mut arguments = keys(in_flight);
    arguments.push(lease.0.clone());
    arguments
}

fn keys(in_flight: &[Charge]) -> Vec<String> {
    std::iter::once(in_flight.len().to_string())
        .chain(in_flight.iter().map(|charge| charge.key.clone()))
        .collect()
}

//! Keeping, and giving up, what is in flight.

use spillway_platform::{Charge, LEASE_MS, LeaseName};

use crate::charge::reservations_key;
use crate::settle::settlement_key;

/// Renews a lease; arguments are [`lease_renew_arguments`]'. Answers 1.
pub const LEASE_RENEW_V2: &str = include_str!("lease_renew_v2.lua");

/// Gives a lease up; arguments are [`lease_release_arguments`]'. Answers 1.
pub const LEASE_RELEASE_V1: &str = include_str!("lease_release_v1.lua");

/// What `EVAL` gets after [`LEASE_RENEW_V2`]. `now_ms` is for tests; `None` has the script ask Redis for the time.
pub fn lease_renew_arguments(
    charges: &[Charge],
    lease: &LeaseName,
    now_ms: Option<u64>,
) -> Vec<String> {
    let in_flight = || charges.iter().filter(|charge| charge.is_in_flight());
    let reserved = || charges.iter().filter(|charge| charge.is_reserved());
    let mut keys = vec![settlement_key(lease)];
    keys.extend(in_flight().map(|charge| charge.key.clone()));
    keys.extend(reserved().map(reservations_key));
    let mut arguments = vec![keys.len().to_string()];
    arguments.extend(keys);
    arguments.push(now_ms.map_or_else(String::new, |now_ms| now_ms.to_string()));
    arguments.push(lease.0.clone());
    arguments.push(LEASE_MS.to_string());
    arguments.push(in_flight().count().to_string());
    arguments.extend(reserved().map(|charge| charge.cost.to_string()));
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

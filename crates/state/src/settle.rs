//! What charges come to in the end.

use spillway_platform::{LIMIT_KEY_PREFIX, LeaseName, SETTLEMENT_MS, Settled};

use crate::charge::reservations_key;

/// Has charges come to what they are in truth; a window that charges nothing then is gone. Answers 1, or 0 where this
/// settlement had been done: it may be sent again while nobody knows.
///
/// Arguments are [`limit_settle_arguments`]'.
pub const LIMIT_SETTLE_V2: &str = include_str!("limit_settle_v2.lua");

/// Where a settlement is remembered.
pub(crate) fn settlement_key(name: &LeaseName) -> String {
    format!("{LIMIT_KEY_PREFIX}settled:{}", name.0)
}

/// What `EVAL` gets after [`LIMIT_SETTLE_V2`]. `now_ms` is for tests; `None` has the script ask Redis for the time.
pub fn limit_settle_arguments(
    settled: &[Settled],
    name: &LeaseName,
    now_ms: Option<u64>,
) -> Vec<String> {
    let counted = || settled.iter().filter(|it| !it.charge.is_reserved());
    let reserved = || settled.iter().filter(|it| it.charge.is_reserved());
    let mut keys = vec![settlement_key(name)];
    keys.extend(counted().map(|settled| settled.charge.key.clone()));
    for Settled { charge, .. } in reserved() {
        keys.extend([charge.key.clone(), reservations_key(charge)]);
    }
    let mut arguments = vec![keys.len().to_string()];
    arguments.extend(keys);
    arguments.push(now_ms.map_or_else(String::new, |now_ms| now_ms.to_string()));
    arguments.push(SETTLEMENT_MS.to_string());
    arguments.push(counted().count().to_string());
    arguments.push(name.0.clone());
    for settled in counted() {
        let change = signed(settled.actual).saturating_sub(signed(settled.charge.cost));
        arguments.extend([settled.sub_window.to_string(), change.to_string()]);
    }
    for Settled { charge, actual, .. } in reserved() {
        let window_ms = charge.window_ms().unwrap_or_default();
        arguments.extend([window_ms, charge.cost, *actual].map(|number| number.to_string()));
    }
    arguments
}

pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

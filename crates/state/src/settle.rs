//! What charges come to in the end.

use spillway_platform::{LIMIT_KEY_PREFIX, LeaseName, SETTLEMENT_MS, Settled};

/// Has charges come to what they are in truth; a window that charges nothing then is gone. Answers 1, or 0 where this
/// settlement had been done: it may be sent again while nobody knows.
///
/// Arguments are [`limit_settle_arguments`]'.
pub const LIMIT_SETTLE_V1: &str = include_str!("limit_settle_v1.lua");

/// What `EVAL` gets after [`LIMIT_SETTLE_V1`].
pub fn limit_settle_arguments(settled: &[Settled], name: &LeaseName) -> Vec<String> {
    let keys = settled.iter().map(|settled| settled.charge.key.clone());
    let changes = settled.iter().flat_map(|settled| {
        let change = i64::from(settled.actual).saturating_sub(i64::from(settled.charge.cost));
        [settled.sub_window.to_string(), change.to_string()]
    });
    [
        settled.len().saturating_add(1).to_string(),
        format!("{LIMIT_KEY_PREFIX}settled:{}", name.0),
    ]
    .into_iter()
    .chain(keys)
    .chain([SETTLEMENT_MS.to_string()])
    .chain(changes)
    .collect()
}

//! Totals of all instances' counters.

/// Adds to totals; arguments are [`metrics_add_arguments`]'. A series that cannot be added to (it would overflow) is
/// passed over, so that the others are added once and not at every new try. Of series that have not grown for as long
/// as totals live some are removed. Answers 1.
pub const METRICS_ADD_V2: &str = include_str!("metrics_add_v2.lua");

/// How long a series outlives its last change: 30 days.
pub(crate) const METRICS_TTL_SECONDS: u64 = 30 * 24 * 60 * 60;

/// Where totals of a version stand: a Redis hash, or a key-value entry of `series amount changed` lines.
pub(crate) fn metrics_key(version: &str) -> String {
    format!("spillway:{{metrics}}:{version}")
}

/// What `EVAL` gets after [`METRICS_ADD_V2`].
pub fn metrics_add_arguments(version: &str, amounts: &[(String, u64)]) -> Vec<String> {
    let key = metrics_key(version);
    let mut arguments = vec![
        "2".to_owned(),
        key.clone(),
        format!("{key}:changed"),
        METRICS_TTL_SECONDS.to_string(),
    ];
    for (series, amount) in amounts {
        arguments.push(series.clone());
        arguments.push(i64::try_from(*amount).unwrap_or(i64::MAX).to_string());
    }
    arguments
}

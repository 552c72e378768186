//! Places and reservations return to nothing, unless their holder died or the store failed.

use crate::history::History;

pub(super) fn check(history: &History) -> Vec<String> {
    // What a request leaves that was given up begins with its instance's next one, which may never come.
    if history.has_deaths() || history.plan.has_store_faults() {
        return Vec::new();
    }
    let leases = history.leases.iter();
    let leases =
        leases.map(|(key, count)| format!("{count} places under {key} were never given back"));
    let reserved = history.reserved.iter();
    let reserved =
        reserved.map(|(key, amount)| format!("{amount} tokens under {key} are reserved for ever"));
    leases.chain(reserved).collect()
}

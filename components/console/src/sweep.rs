//! Removes expired counts: the key-value store has no expiry of its own.

use std::time::{SystemTime, UNIX_EPOCH};

use spillway_platform_spin::{self as spin, KeyValue};
use spillway_state::number_expires_ms;

/// So many at most in one go; the next probe or scrape goes on.
const MOST_REMOVED: usize = 2_000;

/// Removes counts of sub-windows that are over. With Redis there are none here.
pub(crate) async fn remove_expired() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or_default();
    let keys = match KeyValue.keys().await {
        Ok(keys) => keys,
        Err(error) => return spin::log(&format!("expired counts stay: {error}")),
    };
    let expired = keys
        .iter()
        .filter(|key| number_expires_ms(key).is_some_and(|expiry| expiry < now));
    for key in expired.take(MOST_REMOVED) {
        if let Err(error) = KeyValue.delete(key).await {
            return spin::log(&format!("expired counts stay: {error}"));
        }
    }
}

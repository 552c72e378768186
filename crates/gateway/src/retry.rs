//! Operations of the store that nobody waits for, and that may be sent again: what they say is said of something with a
//! name.

use std::time::Duration;

use spillway_platform::{LEASE_MS, Platform, StateError};

/// How long it is waited before the first time that it is sent again, and before each later one at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// For so long it is tried: whatever is held in the store has ended by then.
const TRIED_FOR: Duration = Duration::from_millis(LEASE_MS);

/// Does it until it is done.
///
/// # Errors
/// The last one's, once there is no more time.
pub(crate) async fn retry<P: Platform>(
    platform: &P,
    operation: impl AsyncFn() -> Result<(), StateError>,
) -> Result<(), StateError> {
    let until = platform.now().saturating_add(TRIED_FOR);
    let mut pause = FIRST_PAUSE;
    loop {
        let done = operation().await;
        if done.is_ok() || platform.now().saturating_add(pause) >= until {
            return done;
        }
        platform.sleep(pause).await;
        pause = pause.saturating_mul(2).min(MAX_PAUSE);
    }
}

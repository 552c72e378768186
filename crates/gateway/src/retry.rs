//! Operations of the store that nobody waits for, and that may be sent again: for as long as they are, the store tells one
//! that it has done from another.

use std::time::Duration;

use spillway_platform::{Platform, StateError};

/// How long it is waited at most before the first time that it is sent again, and before each later one. It is half of
/// that at least: what ended while the store was away does not all come back at once.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Does it until it is done, for so long.
///
/// # Errors
/// The last one's, once there is no more time.
pub(crate) async fn retry<P: Platform>(
    platform: &P,
    time: Duration,
    operation: impl AsyncFn() -> Result<(), StateError>,
) -> Result<(), StateError> {
    let until = platform.now().saturating_add(time);
    let mut max_pause = FIRST_PAUSE;
    loop {
        let done = operation().await;
        let pause = share_of(max_pause, platform.random_number());
        if done.is_ok() || platform.now().saturating_add(pause) >= until {
            return done;
        }
        platform.sleep(pause).await;
        max_pause = max_pause.saturating_mul(2).min(MAX_PAUSE);
    }
}

/// Between half and all of it.
fn share_of(time: Duration, drawn: u32) -> Duration {
    let half = time.mul_f64(0.5);
    half.saturating_add(half.mul_f64(f64::from(drawn) / f64::from(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_between_half_and_all() {
        let whole = Duration::from_secs(2);
        assert_eq!(share_of(whole, 0), Duration::from_secs(1));
        assert_eq!(share_of(whole, u32::MAX), whole);
    }
}

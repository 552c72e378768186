//! Where limits stand, on single numbers.

use spillway_platform::{Charge, Charged};

use super::{Increment, half_minute, read_rule, window_ms};
use crate::Error;
use crate::sub_windows;

/// Where limits stand, without charging anything. What is in flight is not known here, and stands at 0.
///
/// # Errors
/// [`Error::Store`].
pub fn standings_in_numbers<S: Increment>(
    store: &S,
    now_ms: u64,
    charges: &[Charge],
) -> Result<Vec<Charged>, Error<S::Error>> {
    let standings = charges.iter().map(|charge| {
        if charge.is_in_flight() {
            return Ok(Charged::default());
        }
        let current = sub_windows::index(now_ms, window_ms(charge));
        let (reserved, windows) = read_rule(store, charge, half_minute(now_ms), current)?;
        Ok(windows.standing(now_ms, charge, reserved))
    });
    standings.collect()
}

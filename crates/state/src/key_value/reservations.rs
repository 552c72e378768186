//! What is reserved, on single numbers: no lease, but a number for each half minute.
//!
//! A reservation is added to the number of the half minute in which it is made, and counts in that and the next one; while
//! it lives it is moved on ([`move_reservation`]). So what a holder that died had reserved is free after a minute at most.
//!
//! It is added first and then everything is read: what is reserved before what is charged. A settlement charges before it
//! takes back, and a move adds before it takes back. So whoever reads finds each of the others in one of the two places, or
//! in both: too few may pass, never too many.

use spillway_platform::{Charge, LEASE_MS};

use super::{Increment, natural, number_key, window_ms};
use crate::Error;
use crate::settle::signed;
use crate::sub_windows;

/// The half minute in which this is.
pub(crate) fn half_minute(now_ms: u64) -> u64 {
    now_ms.checked_div(LEASE_MS).unwrap_or_default()
}

/// Where its number stands. The expiry follows from the rest; it is there for whoever removes keys.
pub(super) fn reservation_key(charge: &Charge, half_minute: u64) -> String {
    let until = half_minute.saturating_add(2).saturating_mul(LEASE_MS);
    format!("{}:reserved:{half_minute}:until:{until}", charge.key)
}

/// What is reserved then. The older number first: what is moved on meanwhile is found in the newer.
pub(super) fn read_reserved<S: Increment>(
    store: &S,
    charge: &Charge,
    half_minute: u64,
) -> Result<u64, S::Error> {
    let before = half_minute.saturating_sub(1);
    let older = natural(store.get(&reservation_key(charge, before))?);
    let newer = natural(store.get(&reservation_key(charge, half_minute))?);
    Ok(older.saturating_add(newer))
}

/// Has a reservation that counts in this half minute (of [`Charged::sub_window`](spillway_platform::Charged), where it was
/// not moved) come to what it is in truth, now.
///
/// # Errors
/// [`Error::Store`].
pub fn settle_reservation<S: Increment>(
    store: &S,
    now_ms: u64,
    charge: &Charge,
    half_minute: u64,
    actual: u64,
) -> Result<(), Error<S::Error>> {
    if actual > 0 {
        let current = sub_windows::index(now_ms, window_ms(charge));
        let key = number_key(charge, current);
        store
            .increment(&key, signed(actual))
            .map_err(Error::Store)?;
    }
    take_back(store, charge, half_minute)
}

/// Has a reservation that counts in one half minute count in another.
///
/// # Errors
/// [`Error::Store`].
pub fn move_reservation<S: Increment>(
    store: &S,
    charge: &Charge,
    from: u64,
    to: u64,
) -> Result<(), Error<S::Error>> {
    if charge.cost > 0 && from != to {
        store
            .increment(&reservation_key(charge, to), signed(charge.cost))
            .map_err(Error::Store)?;
        take_back(store, charge, from)?;
    }
    Ok(())
}

fn take_back<S: Increment>(
    store: &S,
    charge: &Charge,
    half_minute: u64,
) -> Result<(), Error<S::Error>> {
    if charge.cost > 0 {
        let change = signed(charge.cost).saturating_neg();
        store
            .increment(&reservation_key(charge, half_minute), change)
            .map_err(Error::Store)?;
    }
    Ok(())
}

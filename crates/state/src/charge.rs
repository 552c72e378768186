//! Charging a request by its rules, all in one step.

use spillway_platform::{Admission, Admitted, Charge, Charged, LEASE_MS};

use crate::Error;

/// Charges a request by every rule, or by none; see [`Charge`] for what that means. Time is Redis' own.
///
/// What follows the script (or its digest) in `EVAL` (or `EVALSHA`) is [`limit_charge_arguments`]'; the answer,
/// integers only, is read by [`read_limit_charge`]. The one error it can raise by itself is Redis' `WRONGTYPE`.
/// Refused requests write nothing but what holders that died had reserved. Its earlier versions count as this one does.
pub const LIMIT_CHARGE_V5: &str = include_str!("limit_charge_v5.lua");

/// What `EVAL` or `EVALSHA` gets after the script: the number of keys, the keys, and the arguments.
///
/// What is in flight lasts [`LEASE_MS`] under the lease. Without a bound on new values any number passes. `now_ms` is for
/// tests; `None` has the script ask Redis for the time.
pub fn limit_charge_arguments(asked: Admission<'_>, now_ms: Option<u64>) -> Vec<String> {
    let Admission {
        charges,
        lease,
        new_values,
    } = asked;
    let windows = || charges.iter().filter(|charge| !charge.is_in_flight());
    let flights = || charges.iter().filter(|charge| charge.is_in_flight());
    let reserving = || charges.iter().filter(|charge| charge.is_reserved());
    let keys = charges
        .len()
        .saturating_add(reserving().count())
        .saturating_add(usize::from(new_values.is_some()));
    let mut arguments = Vec::with_capacity(keys.saturating_mul(7).saturating_add(8));
    arguments.push(keys.to_string());
    arguments.extend(windows().chain(flights()).map(|charge| charge.key.clone()));
    arguments.extend(reserving().map(reservations_key));
    arguments.extend(new_values.map(|new_values| new_values.key.clone()));
    arguments.push(now_ms.map_or_else(String::new, |now_ms| now_ms.to_string()));
    arguments.push(windows().count().to_string());
    arguments.push(flights().count().to_string());
    arguments.push(reserving().count().to_string());
    arguments.push(lease.0.clone());
    arguments.push(LEASE_MS.to_string());
    arguments
        .push(new_values.map_or_else(String::new, |new_values| new_values.allowance.to_string()));
    for charge in windows() {
        arguments.push(charge.limit.to_string());
        arguments.push(charge.window_ms().unwrap_or_default().to_string());
        arguments.push(u8::from(charge.dry_run).to_string());
        arguments.push(charge.cost_when_new().to_string());
        arguments.push(charge.cost.to_string());
        arguments.push(u8::from(charge.is_reserved()).to_string());
    }
    for charge in flights() {
        arguments.push(charge.limit.to_string());
        arguments.push(u8::from(charge.dry_run).to_string());
    }
    arguments
}

/// The sorted set of what a rule has reserved.
pub(crate) fn reservations_key(charge: &Charge) -> String {
    format!("{}:reserved", charge.key)
}

/// Reads the script's answer for these [`Charge`]s.
///
/// # Errors
/// [`Error::Answer`] where it is not what the script answers.
pub fn read_limit_charge(answer: &[i64], charges: &[Charge]) -> Result<Admitted, Error> {
    let (passes, too_many_new, numbers) = match answer.split_first() {
        Some((-1, numbers)) => (false, true, numbers),
        Some((0, numbers)) => (false, false, numbers),
        Some((1, numbers)) => (true, false, numbers),
        _ => return Err(Error::Answer),
    };
    let in_flight = charges
        .iter()
        .filter(|charge| charge.is_in_flight())
        .count();
    let in_windows = charges.len().saturating_sub(in_flight);
    let (windows, flights) = numbers
        .split_at_checked(in_windows.saturating_mul(6))
        .ok_or(Error::Answer)?;
    let (windows, []) = windows.as_chunks::<6>() else {
        return Err(Error::Answer);
    };
    let (flights, []) = flights.as_chunks::<2>() else {
        return Err(Error::Answer);
    };
    if flights.len() != in_flight {
        return Err(Error::Answer);
    }
    let (mut windows, mut flights) = (windows.iter(), flights.iter());
    let charged = charges.iter().map(|charge| {
        if charge.is_in_flight() {
            let [used, full] = flights.next().ok_or(Error::Answer)?;
            let used = natural(*used)?;
            return Ok(Charged {
                used,
                remaining: charge.limit.saturating_sub(used),
                full: *full == 1,
                ..Charged::default()
            });
        }
        let [used, remaining, reset_ms, full, sub_window, reserved] =
            windows.next().ok_or(Error::Answer)?;
        Ok(Charged {
            used: natural(*used)?,
            reserved: natural(*reserved)?,
            remaining: natural(*remaining)?,
            reset_ms: natural(*reset_ms)?,
            full: *full == 1,
            sub_window: natural(*sub_window)?,
            passed_over: *full == 2,
        })
    });
    Ok(Admitted {
        passes,
        too_many_new,
        charges: charged.collect::<Result<_, _>>()?,
    })
}

fn natural(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::Answer)
}

#[cfg(test)]
mod tests {
    use spillway_platform::{LeaseName, Mode, NewValues};

    use super::*;

    fn count(key: &str, limit: u32, window_ms: u64, dry_run: bool) -> Charge {
        Charge {
            key: key.to_owned(),
            cost: 1,
            limit: u64::from(limit),
            mode: Mode::Count {
                window_ms,
                cost_when_new: limit / 10,
            },
            dry_run,
        }
    }

    fn in_flight() -> Charge {
        Charge {
            key: "c".to_owned(),
            cost: 1,
            limit: 3,
            mode: Mode::InFlight,
            dry_run: true,
        }
    }

    #[test]
    fn arguments_stand_where_the_script_reads_them() {
        let dear = Charge {
            cost: 7,
            ..count("b", 20, 60_000, true)
        };
        let reserved = Charge {
            cost: 500,
            mode: Mode::Reserve {
                window_ms: 60_000,
                cost_when_new: 0,
            },
            ..count("d", 900, 0, false)
        };
        let lease = LeaseName("l".to_owned());
        let asked = Admission {
            charges: &[in_flight(), count("a", 1, 1_000, false), dear, reserved],
            lease: &lease,
            new_values: None,
        };
        assert_eq!(
            limit_charge_arguments(asked, None),
            [
                "5",
                "a",
                "b",
                "d",
                "c",
                "d:reserved",
                "",
                "3",
                "1",
                "1",
                "l",
                "30000",
                "",
                "1",
                "1000",
                "0",
                "0",
                "1",
                "0",
                "20",
                "60000",
                "1",
                "2",
                "7",
                "0",
                "900",
                "60000",
                "0",
                "0",
                "500",
                "1",
                "3",
                "1"
            ]
        );
        let new_values = NewValues {
            key: "n".to_owned(),
            allowance: 7,
        };
        let asked = Admission {
            charges: &[],
            lease: &lease,
            new_values: Some(&new_values),
        };
        assert_eq!(
            limit_charge_arguments(asked, Some(5)),
            ["1", "n", "5", "0", "0", "0", "l", "30000", "7"]
        );
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        let one = [count("a", 1, 1, false)];
        let all = [one[0].clone(), in_flight(), one[0].clone()];
        let answer = [1, 1, 0, 70_000, 0, 8, 0, 5, 0, 9, 1, 8, 4, 2, 0];
        let read = read_limit_charge(&answer, &all).unwrap();
        assert!(read.passes && !read.too_many_new);
        let refused = read_limit_charge(&[-1, 0, 5, 0, 0, 8, 0], &one).unwrap();
        assert!(!refused.passes && refused.too_many_new);
        assert_eq!(
            (read.charges[0].reset_ms, read.charges[2].full),
            (70_000, true)
        );
        let in_flight = read.charges[1];
        assert_eq!(
            (in_flight.used, in_flight.remaining, in_flight.full),
            (2, 1, false)
        );
        for answer in [
            &[][..],
            &[2],
            &[1, 1, 0, 70_000, 0],
            &[1, 1, 0, 70_000, 0, 8, 0, 1],
            &[1, 1, 0, 70_000, 0, 8, 0, 1, 0],
            &[1, -1, 0, 70_000, 0, 8, 0],
        ] {
            assert!(read_limit_charge(answer, &one).is_err(), "{answer:?}");
        }
    }
}

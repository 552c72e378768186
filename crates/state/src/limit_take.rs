//! Taking a request's place from its rules, all in one step.

use spillway_platform::{Count, Hold, HoldCount, LEASE_MS, LeaseName, NewValues, Take, Taken};

use crate::Error;

/// Takes one request's place from every rule, or from none; see [`Take`] for what that means. Time is Redis' own.
///
/// What follows the script (or its digest) in `EVAL` (or `EVALSHA`) is [`limit_take_arguments`]'; the answer,
/// integers only, is read by [`read_limit_take`]. The one error it can raise by itself is Redis' `WRONGTYPE`.
/// Refused requests write nothing. Its earlier versions count as this one does, but for
/// the bound on new values.
pub const LIMIT_TAKE_V3: &str = include_str!("limit_take_v3.lua");

/// What `EVAL` or `EVALSHA` gets after the script: the number of keys, the keys, and the arguments.
///
/// `lease` is what the holds are taken under, and lasts [`LEASE_MS`]. Without `new_values` any number passes.
/// `now_ms` is for tests; `None` has the
/// script ask Redis for the time.
pub fn limit_take_arguments(
    takes: &[Take],
    holds: &[Hold],
    lease: &LeaseName,
    new_values: Option<&NewValues>,
    now_ms: Option<u64>,
) -> Vec<String> {
    let keys = takes
        .len()
        .saturating_add(holds.len())
        .saturating_add(usize::from(new_values.is_some()));
    let mut arguments = Vec::with_capacity(keys.saturating_mul(5).saturating_add(7));
    arguments.push(keys.to_string());
    arguments.extend(takes.iter().map(|take| take.key.clone()));
    arguments.extend(holds.iter().map(|hold| hold.key.clone()));
    arguments.extend(new_values.map(|new_values| new_values.key.clone()));
    arguments.push(now_ms.map_or_else(String::new, |now_ms| now_ms.to_string()));
    arguments.push(takes.len().to_string());
    arguments.push(holds.len().to_string());
    arguments.push(lease.0.clone());
    arguments.push(LEASE_MS.to_string());
    arguments
        .push(new_values.map_or_else(String::new, |new_values| new_values.allowance.to_string()));
    for take in takes {
        arguments.push(take.limit.to_string());
        arguments.push(take.window_ms.to_string());
        arguments.push(u8::from(take.dry_run).to_string());
        arguments.push(take.cost_when_new.to_string());
    }
    for hold in holds {
        arguments.push(hold.limit.to_string());
        arguments.push(u8::from(hold.dry_run).to_string());
    }
    arguments
}

/// Reads the script's answer for this many [`Take`]s and [`Hold`]s.
///
/// # Errors
/// [`Error::Answer`] where it is not what the script answers.
pub fn read_limit_take(answer: &[i64], takes: usize, holds: usize) -> Result<Taken, Error> {
    let (passes, too_many_new, numbers) = match answer.split_first() {
        Some((-1, numbers)) => (false, true, numbers),
        Some((0, numbers)) => (false, false, numbers),
        Some((1, numbers)) => (true, false, numbers),
        _ => return Err(Error::Answer),
    };
    let (counts, held) = numbers
        .split_at_checked(takes.saturating_mul(5))
        .ok_or(Error::Answer)?;
    let (counts, []) = counts.as_chunks::<5>() else {
        return Err(Error::Answer);
    };
    let (held, []) = held.as_chunks::<2>() else {
        return Err(Error::Answer);
    };
    if held.len() != holds {
        return Err(Error::Answer);
    }
    let counts = counts
        .iter()
        .map(|[used, remaining, reset_ms, full, sub_window]| {
            Ok(Count {
                used: natural(*used)?,
                remaining: natural(*remaining)?,
                reset_ms: natural(*reset_ms)?,
                full: *full == 1,
                sub_window: natural(*sub_window)?,
            })
        });
    let held = held.iter().map(|[under_way, full]| {
        Ok(HoldCount {
            under_way: natural(*under_way)?,
            full: *full == 1,
        })
    });
    Ok(Taken {
        passes,
        too_many_new,
        counts: counts.collect::<Result<_, _>>()?,
        holds: held.collect::<Result<_, _>>()?,
    })
}

fn natural(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::Answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_where_the_script_reads_them() {
        let take = |key: &str, limit, window_ms, dry_run| Take {
            key: key.to_owned(),
            limit,
            window_ms,
            dry_run,
            cost_when_new: limit / 10,
        };
        let hold = Hold {
            key: "c".to_owned(),
            limit: 3,
            dry_run: true,
        };
        let takes = [take("a", 1, 1_000, false), take("b", 20, 60_000, true)];
        let lease = LeaseName("l".to_owned());
        assert_eq!(
            limit_take_arguments(&takes, &[hold], &lease, None, None),
            [
                "3", "a", "b", "c", "", "2", "1", "l", "30000", "", "1", "1000", "0", "0", "20",
                "60000", "1", "2", "3", "1"
            ]
        );
        let new_values = NewValues {
            key: "n".to_owned(),
            allowance: 7,
        };
        assert_eq!(
            limit_take_arguments(&[], &[], &lease, Some(&new_values), Some(5)),
            ["1", "n", "5", "0", "0", "l", "30000", "7"]
        );
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        let taken = read_limit_take(&[1, 1, 0, 70_000, 0, 8, 5, 0, 9, 1, 8, 2, 0], 2, 1).unwrap();
        assert!(taken.passes && !taken.too_many_new);
        let refused = read_limit_take(&[-1, 0, 5, 0, 0, 8], 1, 0).unwrap();
        assert!(!refused.passes && refused.too_many_new);
        assert_eq!(
            (taken.counts[0].reset_ms, taken.counts[1].full),
            (70_000, true)
        );
        assert_eq!((taken.holds[0].under_way, taken.holds[0].full), (2, false));
        for answer in [
            &[][..],
            &[2],
            &[1, 1, 0, 70_000, 0],
            &[1, 1, 0, 70_000, 0, 8, 1],
            &[1, 1, 0, 70_000, 0, 8, 1, 0],
            &[1, -1, 0, 70_000, 0, 8],
        ] {
            assert!(read_limit_take(answer, 1, 0).is_err(), "{answer:?}");
        }
    }
}

//! Taking a request's place from its rules, all in one step.

use crate::Error;

/// Names of all keys of request limits begin so. They share a hash tag, because all rules of a request go into one
/// script call.
pub const LIMIT_KEY_PREFIX: &str = "spillway:{limit}:v1:";

/// Takes one request's place from every rule, or from none; see [`Take`] for what that means. Time is Redis' own.
///
/// What follows the script (or its digest) in `EVAL` (or `EVALSHA`) is [`limit_take_arguments`]'; the answer,
/// integers only, is read by [`read_limit_take`]. The one error it can raise by itself is Redis' `WRONGTYPE`.
/// Refused requests write nothing.
pub const LIMIT_TAKE_V1: &str = include_str!("limit_take_v1.lua");

/// The SHA-1 of [`LIMIT_TAKE_V1`], for `EVALSHA`.
pub const LIMIT_TAKE_V1_SHA1: &str = "383d05d25a6db990e74b1ce00e8381dd79d46a38";

/// One rule that a request has to pass.
///
/// A request passes if every rule that is no dry run has room: fewer requests than its limit passed in the last
/// window. Then it is counted by each of these rules, and by each dry run that has room. A request that does not
/// pass is counted nowhere. So a dry run takes nothing from the others, and its own count is what it would be if
/// it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// Whose requests are counted together: [`LIMIT_KEY_PREFIX`] and what tells it from others, its window among
    /// that. A key that is there twice is counted twice.
    pub key: String,
    /// How many may pass in any window.
    pub limit: u32,
    /// The window in milliseconds, not 0.
    pub window_ms: u64,
    /// Whether it only counts.
    pub dry_run: bool,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Whether it passes.
    pub passes: bool,
    /// Of each rule, in the order of the [`Take`]s.
    pub counts: Vec<Count>,
}

/// Where a rule stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many passed in the window, this one included.
    pub used: u64,
    /// How many more may.
    pub remaining: u64,
    /// Milliseconds until more may than now, if no other comes; 0 where none passed.
    pub reset_ms: u64,
    /// Whether there was no room for this request.
    pub full: bool,
}

/// What `EVAL` or `EVALSHA` gets after the script: the number of keys, the keys, and the arguments.
///
/// `now_ms` is for tests; `None` has the script ask Redis for the time.
pub fn limit_take_arguments(takes: &[Take], now_ms: Option<u64>) -> Vec<String> {
    let mut arguments = Vec::with_capacity(takes.len().saturating_mul(4).saturating_add(2));
    arguments.push(takes.len().to_string());
    arguments.extend(takes.iter().map(|take| take.key.clone()));
    arguments.push(now_ms.map_or_else(String::new, |now_ms| now_ms.to_string()));
    for take in takes {
        arguments.push(take.limit.to_string());
        arguments.push(take.window_ms.to_string());
        arguments.push(u8::from(take.dry_run).to_string());
    }
    arguments
}

/// Reads the script's answer for this many [`Take`]s.
///
/// # Errors
/// [`Error::Answer`] where it is not what the script answers.
pub fn read_limit_take(answer: &[i64], takes: usize) -> Result<Taken, Error> {
    let (passes, counts) = match answer.split_first() {
        Some((0, counts)) => (false, counts),
        Some((1, counts)) => (true, counts),
        _ => return Err(Error::Answer),
    };
    let (counts, []) = counts.as_chunks::<4>() else {
        return Err(Error::Answer);
    };
    if counts.len() != takes {
        return Err(Error::Answer);
    }
    let counts = counts.iter().map(|[used, remaining, reset_ms, full]| {
        Ok(Count {
            used: natural(*used)?,
            remaining: natural(*remaining)?,
            reset_ms: natural(*reset_ms)?,
            full: *full == 1,
        })
    });
    Ok(Taken {
        passes,
        counts: counts.collect::<Result<_, _>>()?,
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
        };
        assert_eq!(
            limit_take_arguments(
                &[take("a", 1, 1_000, false), take("b", 20, 60_000, true)],
                None
            ),
            ["2", "a", "b", "", "1", "1000", "0", "20", "60000", "1"]
        );
        assert_eq!(limit_take_arguments(&[], Some(5)), ["0", "5"]);
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        let taken = read_limit_take(&[1, 1, 0, 70_000, 0, 5, 0, 9, 1], 2).unwrap();
        assert!(taken.passes);
        assert_eq!(
            (taken.counts[0].reset_ms, taken.counts[1].full),
            (70_000, true)
        );
        for answer in [
            &[][..],
            &[2],
            &[1, 1, 0, 70_000],
            &[1, 1, 0, 70_000, 0, 1],
            &[1, -1, 0, 70_000, 0],
        ] {
            assert!(read_limit_take(answer, 1).is_err(), "{answer:?}");
        }
    }
}

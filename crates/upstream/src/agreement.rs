//! When what single consumers found holds for everybody.
//!
//! A client can make a provider answer nearly anything by the headers and the body that it writes: 500 by a text that
//! the engine trips over, 429 by more tokens than a minute has, 402 by more than the account pays for. So what a call
//! finds counts for its own consumer. It holds for the others, too, once a second consumer found the same, as long as
//! nobody has been served since the first of the two.

use std::time::Duration;

/// Until when something is ejected for everybody. `found` is what each consumer that still has it ejected found:
/// since when, and until when. `None` where fewer than two have found it since `last_served`.
pub(crate) fn agreed_until(
    found: impl IntoIterator<Item = (Duration, Duration)>,
    last_served: Option<Duration>,
) -> Option<Duration> {
    let (mut latest, mut second) = (None, None);
    for (since, until) in found {
        if last_served.is_some_and(|served| served >= since) {
            continue;
        }
        if latest.is_none_or(|latest| latest < until) {
            second = latest.replace(until);
        } else {
            second = second.max(Some(until));
        }
    }
    second
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(found: &[(u64, u64)], last_served: Option<u64>) -> Option<u64> {
        let seconds = Duration::from_secs;
        let found = found
            .iter()
            .map(|(since, until)| (seconds(*since), seconds(*until)));
        agreed_until(found, last_served.map(seconds)).map(|until| until.as_secs())
    }

    #[test]
    fn two_agree_until_the_first_of_them_ends() {
        assert_eq!(agreed(&[], None), None);
        assert_eq!(agreed(&[(1, 99)], None), None);
        for found in [[(1, 99), (2, 5)], [(2, 5), (1, 99)]] {
            assert_eq!(agreed(&found, None), Some(5));
        }
        assert_eq!(agreed(&[(1, 7), (2, 5), (3, 9)], None), Some(7));
    }

    #[test]
    fn whoever_is_served_meanwhile_refutes_them() {
        let found = [(1, 99), (3, 99)];
        assert_eq!(agreed(&found, Some(0)), Some(99));
        assert_eq!(agreed(&found, Some(2)), None);
        assert_eq!(agreed(&found, Some(3)), None);
    }
}

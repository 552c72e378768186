//! A list of models that refuses a key which serves.

use super::*;

const DAY: u64 = 24 * 60 * 60;

/// What was said in favour of the first key.
fn in_favour(pool: &Pool, told: &[Transition]) -> Option<SharedState> {
    let states = told.iter().filter_map(|told| {
        (told.subject == subject(key_of(pool, 0), None))
            .then_some(told.to?.0)
            .filter(|state| !state.is_setback())
    });
    states.last()
}

fn serves(pool: &Pool, now: u64) -> Option<SharedState> {
    let told = pool.report(at(now), BOB, pick(0), AttemptOutcome::Served);
    in_favour(pool, &told)
}

/// A call is refused with the first key, and so is the probe.
fn refused(pool: &Pool, now: u64) -> Vec<Transition> {
    pool.report(at(now), ANN, pick(0), status(401));
    let Some((asked, kind)) = pool.begin_probe(at(now), NOW) else {
        return Vec::new();
    };
    pool.probed(at(now), asked, kind, Probed::Refused)
}

fn is_out(pool: &Pool, now: u64) -> bool {
    !in_turn_for(pool, at(now), "cid").contains(&Some(0))
}

#[test]
fn a_key_that_has_just_served_stays_for_others_whatever_a_probe_says() {
    let pool = keys();
    assert_eq!(serves(&pool, 0), Some(SharedState::Served));
    assert_eq!(serves(&pool, 1), None, "others know");
    assert_eq!(serves(&pool, 61), Some(SharedState::Served));
    let told = refused(&pool, 62);
    assert_eq!(in_favour(&pool, &told), Some(SharedState::Doubted));
    assert!(!is_out(&pool, 62));
    assert!(
        !rotated(&pool, at(62)).contains(&Some(0)),
        "whoever was refused tries another one"
    );
    assert_eq!(serves(&pool, 63), Some(SharedState::Trusted));
    for hour in 1..24 {
        assert_eq!(in_favour(&pool, &refused(&pool, 63 + hour * 3600)), None);
        assert!(!is_out(&pool, 63 + hour * 3600), "{hour} h later");
    }
    refused(&pool, 63 + DAY);
    assert!(is_out(&pool, 63 + DAY), "that was a day ago");
}

#[test]
fn a_key_that_is_revoked_is_out_once_it_has_not_served_for_a_while() {
    let pool = keys();
    serves(&pool, 0);
    refused(&pool, 60);
    for minute in 2..5 {
        refused(&pool, minute * 60);
        assert!(!is_out(&pool, minute * 60), "{minute}");
    }
    refused(&pool, 300);
    assert!(is_out(&pool, 300), "whenever the first refusal came");

    let pool = keys();
    serves(&pool, 0);
    refused(&pool, 300);
    assert!(is_out(&pool, 300), "it has not served for five minutes");
}

#[test]
fn a_stream_that_began_before_the_key_was_refused_says_nothing_for_it() {
    let ends = |pool: &Pool, now, sent| {
        let told = pool.report_sent(at(now), at(sent), BOB, pick(0), AttemptOutcome::Served);
        (
            in_favour(pool, &told),
            told.iter().any(|told| told.to.is_none()),
        )
    };
    let pool = keys();
    assert_eq!(ends(&pool, 10, 5), (Some(SharedState::Served), false));
    refused(&pool, 11);
    assert_eq!(ends(&pool, 12, 5), (None, false));
    assert_eq!(ends(&pool, 13, 11), (None, false));
    refused(&pool, 304);
    assert!(!is_out(&pool, 304));
    refused(&pool, 365);
    assert!(
        is_out(&pool, 365),
        "five minutes after the last good call began"
    );
    assert_eq!(ends(&pool, 400, 5), (None, false));
    assert!(is_out(&pool, 400));
    assert_eq!(
        ends(&pool, 401, 399),
        (None, true),
        "a last resort that serves"
    );
    assert!(!is_out(&pool, 401));
}

#[test]
fn what_other_instances_know_in_its_favour_counts() {
    let entry = |pool: &Pool, state, rest| SharedEntry {
        subject: subject(key_of(pool, 0), None),
        state,
        rest: at(rest),
        age: at(20),
    };
    let (served, trusted) = (SharedState::Served, SharedState::Trusted);
    let pool = keys();
    pool.merge(at(0), at(0), &[entry(&pool, served, 280)]);
    assert_eq!(serves(&pool, 1), None, "they were told 20 s ago");
    refused(&pool, 2);
    assert!(!is_out(&pool, 2));
    pool.merge(at(3), at(3), &[entry(&pool, served, 280)]);
    assert_eq!(
        serves(&pool, 4),
        Some(trusted),
        "what was told before the probe takes no doubt away"
    );

    let pool = keys();
    pool.merge(at(0), at(0), &[entry(&pool, trusted, DAY)]);
    refused(&pool, 1);
    assert!(!is_out(&pool, 1));
    assert_eq!(serves(&pool, 2), None);
}

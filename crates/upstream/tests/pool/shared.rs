//! What instances tell each other.

use super::*;

fn entry(subject: Subject, state: SharedState, rest: u64) -> SharedEntry {
    SharedEntry {
        age: Duration::ZERO,
        subject,
        state,
        rest: at(rest),
    }
}

#[test]
fn what_other_instances_found_is_taken_over() {
    let pool = keys();
    let endpoint = |url: &str, consumer| subject(Thing::Endpoint(url.to_owned()), consumer);
    let stranger = Thing::Key("of another configuration".to_owned());
    let entries = [
        entry(endpoint("http://b/v1", None), SharedState::Open, 5),
        entry(subject(key_of(&pool, 0), None), SharedState::Out, 5000),
        entry(
            subject(key_of(&pool, 1), Some(ANN)),
            SharedState::Cooling,
            5000,
        ),
        entry(
            subject(key_of(&pool, 2), Some(BOB)),
            SharedState::Suspect,
            60,
        ),
        entry(subject(stranger, None), SharedState::Out, 5000),
    ];
    pool.merge(at(0), at(0), &entries);
    for (consumer, key) in [(ANN, 2), (BOB, 1)] {
        for sequence in 0..6 {
            let candidates = pool.choose(context(at(1), sequence, consumer), &Excluded::default());
            let pick = picked(&pool, candidates).unwrap();
            assert_eq!(
                (pick.endpoint, pick.credential),
                (0, Some(key)),
                "{consumer}"
            );
        }
    }
    pool.merge(at(2), at(1), &[]);
    assert_eq!(
        rotated(&pool, at(2)),
        [0, 1, 2, 0, 1, 2].map(Some),
        "somebody put them back"
    );

    let pool = keys();
    put_out(&pool, at(0), 0);
    pool.merge(at(1), at(0), &[]);
    assert!(
        !rotated(&pool, at(1)).contains(&Some(0)),
        "the store does not know yet"
    );
    pool.shared(at(1), &subject(key_of(&pool, 0), None));
    pool.merge(at(3), at(2), &[]);
    assert!(rotated(&pool, at(3)).contains(&Some(0)));
}

#[test]
fn what_was_read_while_a_call_refuted_it_is_no_news() {
    let pool = keys();
    let url = || Thing::Endpoint("http://a/v1".to_owned());
    let open = |age| SharedEntry {
        age: at(age),
        ..entry(subject(url(), None), SharedState::Open, 5)
    };
    let first = |now| pool.choose(context(now, 0, ANN), &Excluded::default());
    let is_chosen = |now| picked(&pool, first(now)).is_some_and(|pick| pick.endpoint == 0);
    pool.merge(at(1), at(1), &[open(0)]);
    assert!(!is_chosen(at(2)));
    // Of last resort, and served.
    let last = picked(&pool, pool.choose_last_resort(context(at(3), 0, ANN))).unwrap();
    pool.report(at(3), ANN, last, AttemptOutcome::Served);
    assert!(is_chosen(at(3)));
    pool.merge(at(4), at(2), &[open(3)]);
    assert!(is_chosen(at(4)), "that was before");
    pool.merge(at(5), at(5), &[open(1)]);
    assert!(!is_chosen(at(5)), "that is after");
}

#[test]
fn two_consumers_agree_across_instances() {
    let pool = keys();
    let url = || Thing::Endpoint("http://a/v1".to_owned());
    let of = |consumer| entry(subject(url(), Some(consumer)), SharedState::Open, 5);
    let first = |now, consumer| {
        let pick = pool.choose(context(now, 0, consumer), &Excluded::default());
        picked(&pool, pick).unwrap().endpoint == 0
    };
    pool.merge(at(100), at(100), &[of(ANN)]);
    assert!(!first(at(100), ANN) && first(at(100), "cid"));
    pool.merge(at(101), at(101), &[of(ANN), of(BOB)]);
    assert!(!first(at(101), "cid"));
    // Open for 10 s, 5 s of them left: they opened before this call was served.
    let pick = Pick {
        endpoint: 0,
        credential: Some(0),
    };
    pool.report(at(101), "cid", pick, AttemptOutcome::Served);
    assert!(first(at(101), "cid"));
}

#[test]
fn a_minute_for_everybody_is_one_however_many_instances_learn_of_it() {
    let cooling = |pool: &Pool, age| {
        let of = |consumer| SharedEntry {
            age: at(age),
            ..entry(
                subject(key_of(pool, 0), Some(consumer)),
                SharedState::Cooling,
                3000,
            )
        };
        [of(ANN), of(BOB)]
    };
    let serves = |pool: &Pool, now: Duration| {
        let turns = in_turn_for(pool, now, "cid");
        turns.contains(&Some(0))
    };
    for (age, free_after) in [(0, 60), (50, 10), (61, 0), (2000, 0)] {
        // An instance that has just begun.
        let pool = keys();
        pool.merge(at(0), at(0), &cooling(&pool, age));
        assert!(serves(&pool, at(free_after)), "{age}");
        assert_eq!(
            serves(&pool, at(free_after.saturating_sub(1))),
            free_after == 0,
            "{age}"
        );
        assert!(
            !in_turn_for(&pool, at(100), ANN).contains(&Some(0)),
            "for itself it cools on"
        );
    }
}

#[test]
fn names_in_the_store_are_read_back() {
    let url = "http://10.0.0.1:8000/v1";
    for (thing, name) in [
        (Thing::Endpoint(url.to_owned()), format!("endpoint {url}")),
        (
            Thing::Key("0123456789ab".to_owned()),
            "key 0123456789ab".to_owned(),
        ),
    ] {
        for (consumer, field) in [
            (None, name.clone()),
            (Some(ANN), format!("{name} ann")),
            (Some(""), format!("{name} ")),
        ] {
            let subject = subject(thing.clone(), consumer);
            assert_eq!(subject.field(), field);
            assert_eq!(Subject::of_field(&field), Some(subject));
        }
    }
    for field in ["", "endpoint", "keys x", "probe x"] {
        assert_eq!(Subject::of_field(field), None, "{field}");
    }
    for state in [
        SharedState::Open,
        SharedState::Out,
        SharedState::Cooling,
        SharedState::Suspect,
    ] {
        assert_eq!(SharedState::of_str(state.as_str()), Some(state));
    }
}

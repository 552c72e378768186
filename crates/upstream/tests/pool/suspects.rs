//! Keys that were refused: suspect for whom they were refused, out for all when a probe confirms it.

use super::*;

fn suspect(pool: &Pool, now: Duration, consumer: &str) -> Option<usize> {
    let pick = pool.choose_suspect(context(now, 0, consumer), &Excluded::default());
    pick.and_then(|pick| pick.credential)
}

#[test]
fn a_key_is_out_once_a_probe_confirms_it_and_others_are_told() {
    let pool = keys();
    assert!(
        pool.report(at(0), ANN, pick(1), status(401)).is_empty(),
        "nobody is told on mere suspicion"
    );
    assert!(!rotated(&pool, at(0)).contains(&Some(1)));
    assert!(
        in_turn_for(&pool, at(0), BOB).contains(&Some(1)),
        "what one client sent is nothing to another"
    );
    let told = probe(&pool, at(1), Probed::Refused);
    assert_eq!(
        told,
        [Transition {
            provider: "p".to_owned(),
            subject: subject(key_of(&pool, 1), None),
            to: Some((SharedState::Out, at(30 * 24 * 60 * 60))),
        }]
    );
    assert!(
        pool.report(at(1), ANN, pick(1), status(401)).is_empty(),
        "no news"
    );
    for consumer in [ANN, BOB, ""] {
        assert!(!in_turn_for(&pool, at(1_000_000), consumer).contains(&Some(1)));
    }
    assert!(
        !format!("{told:?}").contains("key-1"),
        "the key itself is told to nobody"
    );
}

#[test]
fn what_one_client_writes_puts_no_key_out() {
    let pool = keys();
    for second in 0..1000 {
        for key in 0..3 {
            assert!(
                pool.report(at(second), ANN, pick(key), status(401))
                    .is_empty()
            );
        }
        while let Some((pick, kind)) = pool.begin_probe(at(second), NOW) {
            assert!(
                pool.probed(at(second), pick, kind, Probed::Accepted)
                    .is_empty()
            );
        }
        let others = in_turn_for(&pool, at(second), BOB);
        assert_eq!(others, [0, 1, 2, 0, 1, 2].map(Some), "{second}");
    }
}

#[test]
fn a_key_that_a_probe_found_good_is_probed_again_after_a_while() {
    let pool = keys();
    pool.report(at(0), ANN, pick(0), status(401));
    assert!(probe(&pool, at(0), Probed::Accepted).is_empty());
    pool.report(at(29), ANN, pick(0), status(401));
    assert!(rotated(&pool, at(29)).contains(&Some(0)));
    assert_eq!(pool.begin_probe(at(29), NOW), None);
    pool.report(at(30), ANN, pick(0), status(401));
    assert!(!rotated(&pool, at(30)).contains(&Some(0)), "revoked since?");
    assert_eq!(probe(&pool, at(30), Probed::Refused).len(), 1);
}

#[test]
fn whether_a_403_is_about_the_key_a_probe_tells() {
    let pool = keys();
    assert!(pool.report(at(0), ANN, pick(2), status(403)).is_empty());
    assert!(!rotated(&pool, at(0)).contains(&Some(2)));
    let (asked, kind) = pool.begin_probe(at(0), NOW).unwrap();
    assert_eq!((asked.credential, kind), (Some(2), ProbeKind::Suspect));
    pool.report(at(1), BOB, pick(2), status(403));
    assert_eq!(pool.begin_probe(at(1), NOW), None, "it is looked into once");
    assert!(pool.probed(at(1), asked, kind, Probed::Accepted).is_empty());
    for consumer in [ANN, BOB] {
        assert!(in_turn_for(&pool, at(1), consumer).contains(&Some(2)));
    }
    pool.report(at(2), ANN, pick(2), status(403));
    assert!(
        rotated(&pool, at(2)).contains(&Some(2)),
        "what was asked is forbidden, not the key"
    );
    pool.report(at(400), ANN, pick(2), status(403));
    assert!(
        !rotated(&pool, at(400)).contains(&Some(2)),
        "that is believed for some minutes"
    );

    pool.report(at(500), ANN, pick(0), status(403));
    assert!(probe(&pool, at(500), Probed::Accepted).is_empty());
    assert!(probe(&pool, at(500), Probed::Unclear).is_empty());
    assert!(
        rotated(&pool, at(510)).contains(&Some(0)),
        "a provider that lists no models tells nothing"
    );
    pool.report(at(900), ANN, pick(0), status(403));
    let told = probe(&pool, at(900), Probed::Forbidden);
    assert_eq!(told[0].to, Some((SharedState::Suspect, at(60))));
    assert_eq!(told[0].subject.consumer.as_deref(), Some(ANN));
    assert!(!rotated(&pool, at(959)).contains(&Some(0)));
    assert!(
        in_turn_for(&pool, at(959), BOB).contains(&Some(0)),
        "it may be the list alone that is forbidden"
    );
    pool.report(at(1000), ANN, pick(0), status(403));
    let told = probe(&pool, at(1000), Probed::Refused);
    assert!(
        matches!(told[0].to, Some((SharedState::Out, _))),
        "{told:?}"
    );
}

#[test]
fn where_probes_tell_nothing_a_refused_key_is_asked_with_once_a_minute() {
    for found in [Probed::Unclear, Probed::Failed, Probed::Forbidden] {
        let pool = keys();
        pool.report(at(0), ANN, pick(0), status(401));
        let minute = Some((SharedState::Suspect, at(60)));
        let told = probe(&pool, at(1), found);
        assert_eq!(
            told,
            [Transition {
                provider: "p".to_owned(),
                subject: subject(key_of(&pool, 0), Some(ANN)),
                to: minute,
            }]
        );
        assert!(!rotated(&pool, at(60)).contains(&Some(0)));
        assert!(in_turn_for(&pool, at(60), BOB).contains(&Some(0)));
        assert!(rotated(&pool, at(61)).contains(&Some(0)));
        pool.report(at(62), ANN, pick(0), status(401));
        assert_eq!(probe(&pool, at(62), found)[0].to, minute);
        pool.shared(at(62), &told[0].subject);
        let back = setbacks(pool.report(at(63), ANN, pick(0), AttemptOutcome::Served));
        assert_eq!(back.len(), 1, "in need it was used, and served");
        assert_eq!(back[0].to, None);
        assert!(rotated(&pool, at(63)).contains(&Some(0)));
    }
}

#[test]
fn a_suspect_key_serves_in_need_until_more_is_known() {
    let pool = pool(r#""api_keys":["only"]"#);
    pool.report(at(0), ANN, pick(0), status(403));
    assert_eq!(
        pool.choose(context(at(1), 0, ANN), &Excluded::default()),
        None
    );
    assert_eq!(suspect(&pool, at(1), ANN), Some(0));
    let (asked, kind) = pool.begin_probe(at(1), NOW).unwrap();
    assert_eq!(
        pool.report(at(1), ANN, pick(0), status(429)).len(),
        1,
        "a limit is no mere suspicion, though it is shorter"
    );
    assert_eq!(suspect(&pool, at(2), ANN), None);
    assert!(pool.probed(at(2), asked, kind, Probed::Accepted).is_empty());
    assert_eq!(
        suspect(&pool, at(2), ANN),
        None,
        "a key that is taken is limited yet"
    );
    assert!(suspect(&pool, at(3), ANN).is_some());

    pool.report(at(400), ANN, pick(0), status(403));
    let entry = SharedEntry {
        age: Duration::ZERO,
        subject: subject(key_of(&pool, 0), Some(ANN)),
        state: SharedState::Cooling,
        rest: at(5),
    };
    pool.merge(at(401), at(401), &[entry]);
    assert_eq!(suspect(&pool, at(402), ANN), None, "others know more");
}

#[test]
fn a_key_that_is_out_is_asked_after_now_and_then() {
    let pool = keys();
    put_out(&pool, at(0), 0);
    assert_eq!(pool.begin_probe(at(1), NOW), None, "that is plain");
    let (asked, kind) = pool.begin_probe(at(301), NOW).unwrap();
    assert_eq!((asked.credential, kind), (Some(0), ProbeKind::Out));
    assert_eq!(pool.begin_probe(at(302), NOW), None);
    let told = pool.probed(at(302), asked, kind, Probed::Refused);
    assert!(told.is_empty(), "no news");
    let told = probe(&pool, at(602), Probed::Accepted);
    assert_eq!(told[0].to, None);
    assert!(rotated(&pool, at(602)).contains(&Some(0)));
}

#[test]
fn a_key_of_last_resort_that_serves_is_back() {
    let pool = pool(r#""api_keys":["only"]"#);
    put_out(&pool, at(0), 0);
    assert_eq!(suspect(&pool, at(1), ANN), None);
    let last = pool.choose_key_that_is_out(context(at(1), 0, ANN));
    let last = picked(&pool, last).unwrap();
    assert_eq!(last.credential, Some(0));
    let told = pool.report(at(1), ANN, last, AttemptOutcome::Served);
    assert_eq!(told.len(), 1);
    assert!(
        pool.choose(context(at(1), 0, ANN), &Excluded::default())
            .is_some()
    );
}

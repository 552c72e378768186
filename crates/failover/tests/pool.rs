//! Which endpoints and keys are set aside by what, and when they come back.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use spillway_config::Provider;
use spillway_failover::{
    Failure, Outcome, Pool, ProbeKind, Probed, SharedEntry, SharedState, Subject, Transition,
    Tried, Way,
};

const NOW: u64 = 1_800_000_000;

fn pool(members: &str) -> Pool {
    let document = format!(r#"{{"name":"p","endpoints":["http://a/v1","http://b/v1"],{members}}}"#);
    Pool::new(&serde_json::from_str::<Provider>(&document).unwrap()).unwrap()
}

fn keys() -> Pool {
    pool(r#""api_keys":["key-0","key-1","key-2"]"#)
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn way(key: usize) -> Way {
    Way {
        endpoint: 0,
        key: Some(key),
    }
}

fn status(status: u16) -> Outcome {
    Outcome::Failed(Failure::Status(status), None)
}

/// The keys that six calls in a row get.
fn in_turn(pool: &Pool, now: Duration, unix_seconds: u64) -> Vec<Option<usize>> {
    let key = |turn| {
        pool.choose(now, unix_seconds, turn, &Tried::default())
            .and_then(|way| way.key)
    };
    (0..6).map(key).collect()
}

#[test]
fn keys_and_endpoints_are_used_in_turn() {
    let pool = keys();
    let ways: Vec<_> = (0..6)
        .filter_map(|turn| pool.choose(at(0), NOW, turn, &Tried::default()))
        .map(|way| (way.endpoint, way.key.unwrap()))
        .collect();
    assert_eq!(ways, [(0, 0), (1, 1), (0, 2), (1, 0), (0, 1), (1, 2)]);
}

#[test]
fn weights_share_the_calls() {
    let pool = pool(r#""api_keys":[{"key":"a","weight":2},{"key":"b","weight":0},"c"]"#);
    assert_eq!(
        in_turn(&pool, at(0), NOW),
        [0, 0, 2, 0, 0, 2].map(Some),
        "two of three, none, one of three"
    );
    pool.report(at(0), way(0), status(401));
    pool.report(at(0), way(2), status(401));
    assert_eq!(
        in_turn(&pool, at(0), NOW),
        [Some(1); 6],
        "the last one left"
    );
}

#[test]
fn keys_are_used_within_their_time_and_may_overlap() {
    let pool = pool(
        r#""api_keys":[{"key":"old","expires":"2026-02-01"},{"key":"new","not_before":"2026-01-01"}]"#,
    );
    let day = |text: &str| {
        text.parse::<spillway_config::Moment>()
            .unwrap()
            .unix_seconds()
    };
    assert_eq!(in_turn(&pool, at(0), day("2025-12-31")), [Some(0); 6]);
    let both = in_turn(&pool, at(0), day("2026-01-15"));
    assert!(both.contains(&Some(0)) && both.contains(&Some(1)));
    assert_eq!(in_turn(&pool, at(0), day("2026-02-01")), [Some(1); 6]);
}

#[test]
fn a_key_that_is_not_taken_is_out_and_others_are_told() {
    let pool = keys();
    let told = pool.report(at(0), way(1), status(401));
    let digest = pool.keys()[1].digest.clone();
    assert_eq!(
        told,
        [Transition {
            provider: "p".to_owned(),
            subject: Subject::Key(digest),
            to: Some((SharedState::Out, at(30 * 24 * 60 * 60))),
        }]
    );
    assert!(
        pool.report(at(1), way(1), status(401)).is_empty(),
        "no news"
    );
    assert!(!in_turn(&pool, at(1_000_000), NOW).contains(&Some(1)));
    assert!(
        !format!("{told:?}").contains("key-1"),
        "the key itself is told to nobody"
    );
}

#[test]
fn a_limited_key_cools_for_as_long_as_the_provider_asks() {
    let pool = keys();
    let limited = |seconds| Outcome::Failed(Failure::Status(429), Some(at(seconds)));
    assert_eq!(pool.report(at(0), way(0), limited(20)).len(), 1);
    assert!(
        pool.report(at(0), way(0), limited(10)).is_empty(),
        "it cools for longer already"
    );
    assert!(!in_turn(&pool, at(19), NOW).contains(&Some(0)));
    assert!(in_turn(&pool, at(20), NOW).contains(&Some(0)));
    pool.report(at(30), way(0), limited(1_000_000));
    assert!(
        in_turn(&pool, at(30 + 3600), NOW).contains(&Some(0)),
        "an hour at most"
    );
    pool.report(at(0), way(1), status(429));
    assert!(
        !in_turn(&pool, at(1), NOW).contains(&Some(1))
            && in_turn(&pool, at(2), NOW).contains(&Some(1))
    );
}

#[test]
fn a_clients_own_mistakes_set_nothing_aside() {
    let pool = keys();
    for _ in 0..100 {
        for number in [400, 404, 409, 413, 422] {
            assert!(pool.report(at(0), way(0), status(number)).is_empty());
        }
        let long = Outcome::Failed(Failure::ContextLength(400), None);
        assert!(pool.report(at(0), way(0), long).is_empty());
    }
    assert_eq!(in_turn(&pool, at(0), NOW), [0, 1, 2, 0, 1, 2].map(Some));
}

#[test]
fn whether_a_403_is_about_the_key_a_probe_tells() {
    let pool = keys();
    assert!(
        pool.report(at(0), way(2), status(403)).is_empty(),
        "nobody is told on mere suspicion"
    );
    assert!(!in_turn(&pool, at(0), NOW).contains(&Some(2)));
    let (probe, kind) = pool.take_probe(at(0)).unwrap();
    assert_eq!((probe.key, kind), (Some(2), ProbeKind::Suspect));
    assert_eq!(pool.take_probe(at(1)), None, "it is looked into once");
    assert_eq!(pool.probed(at(1), probe, Probed::Taken), None);
    assert!(in_turn(&pool, at(1), NOW).contains(&Some(2)));
    pool.report(at(2), way(2), status(403));
    assert!(
        in_turn(&pool, at(2), NOW).contains(&Some(2)),
        "what was asked is forbidden, not the key"
    );
    pool.report(at(400), way(2), status(403));
    assert!(
        !in_turn(&pool, at(400), NOW).contains(&Some(2)),
        "that is believed for some minutes"
    );

    pool.report(at(500), way(0), status(403));
    let (probe, _) = pool.take_probe(at(500)).unwrap();
    assert_eq!(pool.probed(at(500), probe, Probed::Unclear), None);
    assert!(
        in_turn(&pool, at(510), NOW).contains(&Some(0)),
        "a provider that lists no models tells nothing"
    );
    pool.report(at(600), way(0), status(403));
    let (probe, _) = pool.take_probe(at(600)).unwrap();
    let told = pool.probed(at(600), probe, Probed::Refused).unwrap();
    assert!(matches!(told.to, Some((SharedState::Out, _))), "{told:?}");
}

#[test]
fn a_suspect_key_serves_in_need_until_more_is_known() {
    let pool = pool(r#""api_keys":["only"]"#);
    let in_need = |now| pool.choose_suspect(now, NOW, 0, &Tried::default());
    pool.report(at(0), way(0), status(403));
    assert_eq!(pool.choose(at(1), NOW, 0, &Tried::default()), None);
    assert_eq!(in_need(at(1)).and_then(|way| way.key), Some(0));
    let (probe, _) = pool.take_probe(at(1)).unwrap();
    assert_eq!(
        pool.report(at(1), way(0), status(429)).len(),
        1,
        "a limit is no mere suspicion, though it is shorter"
    );
    assert_eq!(in_need(at(2)), None);
    assert_eq!(pool.probed(at(2), probe, Probed::Taken), None);
    assert_eq!(in_need(at(2)), None, "a key that is taken is limited yet");
    assert!(in_need(at(3)).is_some());

    pool.report(at(400), way(0), status(403));
    let entry = SharedEntry {
        subject: Subject::Key(pool.keys()[0].digest.clone()),
        state: SharedState::Cooling,
        rest: at(5),
    };
    pool.merge(at(401), at(401), &[entry]);
    assert_eq!(in_need(at(402)), None, "others know more");
    pool.report(at(800), way(0), status(403));
    pool.report(at(801), way(0), status(401));
    assert_eq!(in_need(at(802)), None);
}

#[test]
fn a_key_that_is_out_is_asked_after_now_and_then() {
    let pool = keys();
    pool.report(at(0), way(0), status(401));
    assert_eq!(pool.take_probe(at(1)), None, "what a 401 says is plain");
    let (probe, kind) = pool.take_probe(at(301)).unwrap();
    assert_eq!((probe.key, kind), (Some(0), ProbeKind::Out));
    assert_eq!(pool.take_probe(at(302)), None);
    assert_eq!(
        pool.probed(at(302), probe, Probed::Refused),
        None,
        "no news"
    );
    let (probe, _) = pool.take_probe(at(602)).unwrap();
    let told = pool.probed(at(602), probe, Probed::Taken).unwrap();
    assert_eq!(told.to, None);
    assert!(in_turn(&pool, at(602), NOW).contains(&Some(0)));
}

#[test]
fn a_key_of_last_resort_that_serves_is_back() {
    let pool = pool(r#""api_keys":["only"]"#);
    pool.report(at(0), way(0), status(401));
    assert_eq!(pool.choose(at(1), NOW, 0, &Tried::default()), None);
    let last = pool.choose_key_that_is_out(at(1), NOW, 0).unwrap();
    assert_eq!(last.key, Some(0));
    let told = pool.report(at(1), last, Outcome::Served);
    assert_eq!(told.len(), 1);
    assert!(pool.choose(at(1), NOW, 0, &Tried::default()).is_some());
}

#[test]
fn a_breaker_is_an_endpoints_and_only_what_is_its_fault_opens_it() {
    let pool = keys();
    for _ in 0..20 {
        assert!(pool.report(at(0), way(0), status(400)).is_empty());
    }
    let told: Vec<_> = (0..5)
        .flat_map(|_| pool.report(at(0), way(0), status(503)))
        .collect();
    assert_eq!(
        told,
        [Transition {
            provider: "p".to_owned(),
            subject: Subject::Endpoint("http://a/v1".to_owned()),
            to: Some((SharedState::Open, at(10))),
        }]
    );
    for turn in 0..6 {
        let way = pool.choose(at(1), NOW, turn, &Tried::default()).unwrap();
        assert_eq!(way.endpoint, 1);
    }
    let trial = pool.choose(at(10), NOW, 0, &Tried::default()).unwrap();
    assert_eq!(trial.endpoint, 0);
    assert_eq!(
        pool.choose(at(10), NOW, 0, &Tried::default())
            .unwrap()
            .endpoint,
        1,
        "one trial at a time"
    );
    let told = pool.report(at(11), trial, Outcome::Served);
    assert_eq!(told.first().unwrap().to, None, "closed");
}

#[test]
fn what_other_instances_found_is_taken_over() {
    let pool = keys();
    let entries = [
        SharedEntry {
            subject: Subject::Endpoint("http://b/v1".to_owned()),
            state: SharedState::Open,
            rest: at(5),
        },
        SharedEntry {
            subject: Subject::Key(pool.keys()[0].digest.clone()),
            state: SharedState::Out,
            rest: at(5000),
        },
        SharedEntry {
            subject: Subject::Key("of another configuration".to_owned()),
            state: SharedState::Out,
            rest: at(5000),
        },
    ];
    pool.merge(at(0), at(0), &entries);
    for turn in 0..6 {
        let way = pool.choose(at(1), NOW, turn, &Tried::default()).unwrap();
        assert!(way.endpoint == 0 && way.key != Some(0), "{way:?}");
    }
    pool.merge(at(2), at(1), &[]);
    assert!(
        in_turn(&pool, at(2), NOW).contains(&Some(0)),
        "somebody put it back"
    );

    let pool = keys();
    pool.report(at(0), way(0), status(401));
    pool.merge(at(1), at(0), &[]);
    assert!(
        !in_turn(&pool, at(1), NOW).contains(&Some(0)),
        "the store does not know yet"
    );
    pool.shared(at(1), &Subject::Key(pool.keys()[0].digest.clone()));
    pool.merge(at(3), at(2), &[]);
    assert!(in_turn(&pool, at(3), NOW).contains(&Some(0)));
}

#[test]
fn affinity_keeps_a_consumer_with_its_key() {
    let pool = keys();
    let names: Vec<String> = (0..60).map(|number| format!("consumer-{number}")).collect();
    let key_of = |name: &String| pool.choose_by_affinity(at(0), NOW, name).unwrap();
    let before: Vec<Way> = names.iter().map(key_of).collect();
    for place in 0..3 {
        let share = before.iter().filter(|way| way.key == Some(place)).count();
        assert!(share >= 8, "key {place} has {share} of 60");
    }
    pool.report(at(0), way(1), status(401));
    let after: Vec<Way> = names.iter().map(key_of).collect();
    for (before, after) in before.iter().zip(&after) {
        assert!(
            before.key == Some(1) || before == after,
            "only those of the key that is out move"
        );
        assert_ne!(after.key, Some(1));
    }
}

#[test]
fn names_in_the_store_are_read_back() {
    for subject in [
        Subject::Endpoint("http://10.0.0.1:8000/v1".to_owned()),
        Subject::Key("0123456789ab".to_owned()),
    ] {
        assert_eq!(Subject::of_field(&subject.field()), Some(subject));
    }
    for field in ["", "endpoint", "keys x", "probe x"] {
        assert_eq!(Subject::of_field(field), None, "{field}");
    }
    for state in [SharedState::Open, SharedState::Out, SharedState::Cooling] {
        assert_eq!(SharedState::of_str(state.as_str()), Some(state));
    }
}

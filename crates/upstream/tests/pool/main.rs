//! Which endpoints and keys are ejected by what, for whom, and when they come back.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

mod balancing;
mod endpoints;
mod shared;
mod suspects;
mod trust;

use std::time::Duration;

use futures_util::FutureExt as _;
use spillway_config::Provider;
use spillway_upstream::{
    AttemptOutcome, CallContext, Candidates, Excluded, Failure, Pick, Pool, ProbeKind, Probed,
    SharedEntry, SharedState, Subject, Thing, Transition,
};

const NOW: u64 = 1_800_000_000;

/// Two consumers.
const ANN: &str = "ann";
const BOB: &str = "bob";

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

/// What a balancer picks of them.
fn picked(pool: &Pool, candidates: Option<Candidates<'_>>) -> Option<Pick> {
    pool.pick(candidates?).now_or_never().unwrap()
}

/// A consumer that asks.
fn context(now: Duration, sequence: u32, consumer: &str) -> CallContext<'_> {
    CallContext {
        now,
        unix_seconds: NOW,
        sequence,
        consumer,
    }
}

fn pick(key: usize) -> Pick {
    Pick {
        endpoint: 0,
        credential: Some(key),
    }
}

fn status(status: u16) -> AttemptOutcome {
    AttemptOutcome::Failed(Failure::Status(status), None)
}

/// The keys that six calls in a row of a consumer get.
fn in_turn_for(pool: &Pool, now: Duration, consumer: &str) -> Vec<Option<usize>> {
    let key = |sequence| {
        pool.choose(context(now, sequence, consumer), &Excluded::default())
            .and_then(|found| found.credential)
    };
    (0..6).map(key).collect()
}

/// The keys that six calls in a row get.
fn rotated(pool: &Pool, now: Duration) -> Vec<Option<usize>> {
    in_turn_for(pool, now, ANN)
}

/// A probe of a key finds so.
fn probe(pool: &Pool, now: Duration, found: Probed) -> Vec<Transition> {
    let (pick, kind) = pool.begin_probe(now, NOW).unwrap();
    pool.probed(now, pick, kind, found)
}

/// Has a key out: a call was refused, and so was the probe.
fn put_out(pool: &Pool, now: Duration, key: usize) -> Vec<Transition> {
    pool.report(now, ANN, pick(key), status(401));
    probe(pool, now, Probed::Refused)
}

/// What of it ejects something, or ends that.
fn setbacks(told: Vec<Transition>) -> Vec<Transition> {
    let is_one = |told: &Transition| told.to.is_none_or(|(state, _)| state.is_setback());
    told.into_iter().filter(is_one).collect()
}

fn subject(thing: Thing, consumer: Option<&str>) -> Subject {
    Subject {
        thing,
        consumer: consumer.map(str::to_owned),
    }
}

fn key_of(pool: &Pool, key: usize) -> Thing {
    Thing::Key(pool.keys()[key].digest.clone())
}

#[test]
fn keys_and_endpoints_are_used_in_turn() {
    let pool = keys();
    let ways: Vec<_> = (0..6)
        .filter_map(|sequence| {
            picked(
                &pool,
                pool.choose(context(at(0), sequence, ANN), &Excluded::default()),
            )
        })
        .map(|pick| (pick.endpoint, pick.credential.unwrap()))
        .collect();
    assert_eq!(ways, [(0, 0), (1, 1), (0, 2), (1, 0), (0, 1), (1, 2)]);
}

#[test]
fn weights_share_the_calls() {
    let pool = pool(r#""api_keys":[{"key":"a","weight":2},{"key":"b","weight":0},"c"]"#);
    assert_eq!(
        rotated(&pool, at(0)),
        [0, 0, 2, 0, 0, 2].map(Some),
        "two of three, none, one of three"
    );
    put_out(&pool, at(0), 0);
    put_out(&pool, at(0), 2);
    assert_eq!(rotated(&pool, at(0)), [Some(1); 6], "the last one left");
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
    let on = |text: &str| -> Vec<_> {
        let key = |sequence| {
            let context = CallContext {
                unix_seconds: day(text),
                ..context(at(0), sequence, ANN)
            };
            let pick = pool.choose(context, &Excluded::default());
            pick.and_then(|pick| pick.credential)
        };
        (0..6).map(key).collect()
    };
    assert_eq!(on("2025-12-31"), [Some(0); 6]);
    let both = on("2026-01-15");
    assert!(both.contains(&Some(0)) && both.contains(&Some(1)));
    assert_eq!(on("2026-02-01"), [Some(1); 6]);
}

#[test]
fn a_limited_key_cools_for_as_long_as_the_provider_asks() {
    let pool = keys();
    let limited = |seconds| AttemptOutcome::Failed(Failure::Status(429), Some(at(seconds)));
    assert_eq!(pool.report(at(0), ANN, pick(0), limited(20)).len(), 1);
    assert!(
        pool.report(at(0), ANN, pick(0), limited(10)).is_empty(),
        "it cools for longer already"
    );
    assert!(!rotated(&pool, at(19)).contains(&Some(0)));
    assert!(rotated(&pool, at(20)).contains(&Some(0)));
    pool.report(at(30), ANN, pick(0), limited(1_000_000));
    assert!(
        rotated(&pool, at(30 + 3600)).contains(&Some(0)),
        "an hour at most"
    );
    pool.report(at(0), ANN, pick(1), status(429));
    assert!(!rotated(&pool, at(1)).contains(&Some(1)) && rotated(&pool, at(2)).contains(&Some(1)));
}

#[test]
fn what_limits_one_consumer_limits_others_once_a_second_one_found_it() {
    let own = [
        (429, Some(at(3000)), at(3000)),
        (429, None, at(2)),
        (402, None, at(60)),
    ];
    for (number, told, time) in own {
        let pool = pool(r#""api_keys":["only"]"#);
        let limited = AttemptOutcome::Failed(Failure::Status(number), told);
        let changes = pool.report(at(0), ANN, pick(0), limited);
        assert_eq!(
            changes,
            [Transition {
                provider: "p".to_owned(),
                subject: subject(key_of(&pool, 0), Some(ANN)),
                to: Some((SharedState::Cooling, time)),
            }]
        );
        assert_eq!(in_turn_for(&pool, at(1), ANN), [None; 6]);
        assert_eq!(in_turn_for(&pool, at(1), BOB), [Some(0); 6], "{number}");
        pool.report(at(1), BOB, pick(0), limited);
        assert_eq!(in_turn_for(&pool, at(1), "cid"), [None; 6], "two agree");
        let wait = pool.key_in(context(at(1), 0, "cid"), &Excluded::default());
        let ends = time.min(at(60));
        assert_eq!(wait, Some(ends.saturating_sub(at(1))), "a minute at most");
        assert_eq!(in_turn_for(&pool, ends, "cid"), [Some(0); 6]);
        // An answer from before that comes now.
        pool.report(at(1), "cid", pick(0), AttemptOutcome::Served);
        assert_eq!(
            in_turn_for(&pool, at(1), "dan"),
            [Some(0); 6],
            "a third was served"
        );
        assert_eq!(in_turn_for(&pool, at(1), BOB), [None; 6]);
    }
}

#[test]
fn a_clients_own_mistakes_eject_nothing() {
    let pool = keys();
    for _ in 0..100 {
        for number in [400, 404, 409, 413, 422] {
            assert!(pool.report(at(0), ANN, pick(0), status(number)).is_empty());
        }
        let long = AttemptOutcome::Failed(Failure::ContextLength(400), None);
        assert!(pool.report(at(0), ANN, pick(0), long).is_empty());
    }
    assert_eq!(rotated(&pool, at(0)), [0, 1, 2, 0, 1, 2].map(Some));
}

#[test]
fn affinity_keeps_a_consumer_with_its_key() {
    let pool = keys();
    let names: Vec<String> = (0..60).map(|number| format!("consumer-{number}")).collect();
    let pick_of = |name: &String| {
        let candidates = pool.choose_by_affinity(context(at(0), 0, name));
        picked(&pool, candidates).unwrap()
    };
    let before: Vec<Pick> = names.iter().map(pick_of).collect();
    for place in 0..3 {
        let share = before
            .iter()
            .filter(|pick| pick.credential == Some(place))
            .count();
        assert!(share >= 8, "key {place} has {share} of 60");
    }
    pool.report(at(0), ANN, pick(1), status(401));
    let suspected: Vec<Pick> = names.iter().map(pick_of).collect();
    assert_eq!(before, suspected, "a mere suspicion moves nobody");
    probe(&pool, at(0), Probed::Refused);
    let after: Vec<Pick> = names.iter().map(pick_of).collect();
    for (before, after) in before.iter().zip(&after) {
        assert!(
            before.credential == Some(1) || before == after,
            "only those of the key that is out move"
        );
        assert_ne!(after.credential, Some(1));
    }
}

//! Endpoints: ejected for whom they fail, for all where no client can be the cause.

use super::*;

const URL: &str = "http://a/v1";

fn first() -> Pick {
    Pick {
        endpoint: 0,
        credential: Some(0),
    }
}

/// Whether a consumer's calls go to the first endpoint.
fn goes_to_first(pool: &Pool, now: Duration, consumer: &str) -> bool {
    let pick = pool.choose(context(now, 0, consumer), &Excluded::default());
    picked(pool, pick).unwrap().endpoint == 0
}

fn fails(pool: &Pool, now: Duration, consumer: &str, failure: Failure) -> Vec<Transition> {
    let failed = AttemptOutcome::Failed(failure, None);
    let report = |_| pool.report(now, consumer, first(), failed);
    (0..5).flat_map(report).collect()
}

fn opened(consumer: Option<&str>) -> Vec<Transition> {
    vec![Transition {
        provider: "p".to_owned(),
        subject: subject(Thing::Endpoint(URL.to_owned()), consumer),
        to: Some((SharedState::Open, at(10))),
    }]
}

/// All that a client may cause by what it writes.
const MAY_BE_CAUSED: [Failure; 7] = [
    Failure::Status(500),
    Failure::Status(503),
    Failure::Status(408),
    Failure::Timeout,
    Failure::FirstTokenTimeout,
    Failure::Reset,
    Failure::Truncated,
];

#[test]
fn what_a_client_alone_can_cause_opens_an_endpoint_for_its_consumer_alone() {
    for failure in MAY_BE_CAUSED {
        let pool = keys();
        for second in 0..100 {
            let told = fails(&pool, at(second), ANN, failure);
            let expected = if second % 10 == 0 {
                opened(Some(ANN))
            } else {
                Vec::new()
            };
            assert_eq!(told, expected, "{failure:?} at {second}");
            assert!(!goes_to_first(&pool, at(second), ANN), "{failure:?}");
            for other in [BOB, ""] {
                assert!(goes_to_first(&pool, at(second), other), "{failure:?}");
            }
            if let Some((pick, kind)) = pool.begin_probe(at(second), NOW) {
                assert_eq!((pick, kind), (first(), ProbeKind::Endpoint));
                for status in [200, 401, 403, 404, 429, 501] {
                    let found = Probed::of_status(status);
                    assert!(pool.probed(at(second), pick, kind, found).is_empty());
                }
            }
        }
    }
}

#[test]
fn a_dead_endpoint_is_open_for_everybody_at_once() {
    let pool = keys();
    assert_eq!(
        fails(&pool, at(0), ANN, Failure::ConnectError),
        opened(None)
    );
    for consumer in [ANN, BOB, ""] {
        assert!(!goes_to_first(&pool, at(9), consumer));
    }
    for consumer in [ANN, BOB, ""] {
        assert!(goes_to_first(&pool, at(10), consumer), "a trial each");
        assert!(!goes_to_first(&pool, at(10), consumer), "one at a time");
    }
    let told = setbacks(pool.report(at(11), BOB, first(), AttemptOutcome::Served));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].to, None);
    assert!(goes_to_first(&pool, at(11), ANN));
}

#[test]
fn a_trial_that_a_client_can_spoil_leaves_the_endpoint_as_it_is_for_others() {
    let pool = keys();
    fails(&pool, at(0), ANN, Failure::ConnectError);
    assert!(goes_to_first(&pool, at(10), ANN));
    let spoilt = AttemptOutcome::Failed(Failure::Status(500), None);
    assert!(pool.report(at(11), ANN, first(), spoilt).is_empty());
    assert!(goes_to_first(&pool, at(11), BOB));
    let dead = AttemptOutcome::Failed(Failure::ConnectError, None);
    assert_eq!(pool.report(at(12), BOB, first(), dead), opened(None));
}

#[test]
fn a_probe_that_fails_as_well_opens_the_endpoint_for_everybody() {
    let pool = keys();
    fails(&pool, at(0), ANN, Failure::Status(500));
    let (pick, kind) = pool.begin_probe(at(0), NOW).unwrap();
    assert_eq!(pool.begin_probe(at(0), NOW), None);
    let told = pool.probed(at(1), pick, kind, Probed::Failed);
    assert_eq!(told, opened(None));
    assert!(!goes_to_first(&pool, at(2), BOB));
    for status in [408, 500, 502, 503, 529] {
        assert_eq!(Probed::of_status(status), Probed::Failed);
    }
    assert_eq!(Probed::of_failure(Failure::Timeout), Probed::Failed);
    assert_eq!(Probed::of_failure(Failure::HostNotAllowed), Probed::Unclear);
}

#[test]
fn a_second_consumer_confirms_as_well_unless_a_third_is_served() {
    let pool = keys();
    fails(&pool, at(0), ANN, Failure::Timeout);
    assert!(goes_to_first(&pool, at(1), "cid"));
    fails(&pool, at(1), BOB, Failure::Timeout);
    assert!(!goes_to_first(&pool, at(2), "cid"));
    assert!(goes_to_first(&pool, at(10), "cid"), "one is left");

    let pool = keys();
    fails(&pool, at(0), ANN, Failure::Timeout);
    pool.report(at(1), "cid", first(), AttemptOutcome::Served);
    fails(&pool, at(2), BOB, Failure::Timeout);
    assert!(goes_to_first(&pool, at(2), "cid"));
    assert!(!goes_to_first(&pool, at(2), BOB));
}

#[test]
fn whoever_found_it_out_tries_again_although_others_agree() {
    let pool = keys();
    for (second, consumer) in [(0, ANN), (8, BOB), (8, "cid")] {
        fails(&pool, at(second), consumer, Failure::Reset);
    }
    assert!(!goes_to_first(&pool, at(10), "dan"));
    assert!(goes_to_first(&pool, at(10), ANN));
    let told = setbacks(pool.report(at(10), ANN, first(), AttemptOutcome::Served));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].subject.consumer.as_deref(), Some(ANN));
    assert!(goes_to_first(&pool, at(10), "dan"));
}

#[test]
fn only_what_is_an_endpoints_fault_opens_it() {
    let pool = keys();
    for number in [400, 404, 422, 401, 429] {
        assert!(
            fails(&pool, at(0), ANN, Failure::Status(number))
                .iter()
                .all(|told| told.subject.kind() == "key")
        );
    }
    pool.report(at(0), ANN, first(), AttemptOutcome::Unknown);
    assert!(goes_to_first(&pool, at(0), BOB));
}

#[test]
fn a_consumers_trial_is_one_at_a_time_and_closes_it() {
    let pool = keys();
    fails(&pool, at(0), ANN, Failure::Status(503));
    for second in [0, 9] {
        assert!(!goes_to_first(&pool, at(second), ANN));
    }
    assert!(goes_to_first(&pool, at(10), ANN));
    assert!(!goes_to_first(&pool, at(10), ANN), "one trial at a time");
    let told = pool.report(at(11), ANN, first(), AttemptOutcome::Served);
    assert_eq!(told.first().unwrap().to, None, "closed");
    assert!(goes_to_first(&pool, at(11), ANN));
}

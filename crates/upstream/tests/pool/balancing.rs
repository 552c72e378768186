//! Which endpoint is picked, of those that are well.

use super::*;

const LEAST: &str = r#""api_keys":["k"],"load_balance":{"lb_policy":"least_request"}"#;

fn next(pool: &Pool, sequence: u32) -> Pick {
    let found = pool.choose(context(at(100), sequence, ANN), &Excluded::default());
    picked(pool, found).unwrap()
}

#[test]
fn the_fewest_calls_in_flight_are_looked_for() {
    let pool = pool(LEAST);
    let first = next(&pool, 0);
    let places: Vec<usize> = (0..3).map(|_| next(&pool, 0).endpoint).collect();
    assert_eq!((first.endpoint, places), (0, vec![1, 0, 1]), "two each");
    for _ in 0..2 {
        pool.report(at(100), ANN, first, AttemptOutcome::Served);
    }
    let places: Vec<usize> = (0..2).map(|_| next(&pool, 1).endpoint).collect();
    assert_eq!(places, [0, 0], "those of the first have ended");
}

#[test]
fn idle_endpoints_are_used_in_turn() {
    for members in [LEAST, r#""api_keys":["k"]"#] {
        let pool = pool(members);
        let endpoint = |sequence| {
            let pick = next(&pool, sequence);
            pool.report(at(100), ANN, pick, AttemptOutcome::Served);
            pick.endpoint
        };
        let places: Vec<usize> = (0..4).map(endpoint).collect();
        assert_eq!(places, [0, 1, 0, 1], "{members}");
    }
}

#[test]
fn an_endpoint_that_stops_taking_calls_while_the_balancer_thinks_is_not_picked() {
    for members in [LEAST, r#""api_keys":["k"]"#] {
        let pool = pool(members);
        let first = next(&pool, 0);
        for _ in 0..10 {
            pool.report(
                at(100),
                ANN,
                first,
                AttemptOutcome::Failed(Failure::Timeout, None),
            );
        }
        let later = || pool.choose(context(at(200), 0, ANN), &Excluded::default());
        let (one, other) = (later(), later());
        assert_eq!(one.as_ref().map(|found| found.endpoints.len()), Some(2));
        assert_eq!(picked(&pool, one).map(|pick| pick.endpoint), Some(0));
        assert_eq!(
            picked(&pool, other).map(|pick| pick.endpoint),
            Some(1),
            "the first has its trial: {members}"
        );
    }
}

#[test]
fn the_last_one_is_picked_all_the_same() {
    let pool = pool(r#""api_keys":["k"]"#);
    for endpoint in [0, 1] {
        let pick = Pick {
            endpoint,
            credential: Some(0),
        };
        for _ in 0..10 {
            pool.report(
                at(100),
                ANN,
                pick,
                AttemptOutcome::Failed(Failure::Timeout, None),
            );
        }
    }
    let later = || pool.choose(context(at(200), 0, ANN), &Excluded::default());
    let all = [later(), later(), later()];
    let places = all.map(|found| picked(&pool, found).map(|pick| pick.endpoint));
    assert_eq!(places, [Some(0), Some(1), Some(1)]);
}

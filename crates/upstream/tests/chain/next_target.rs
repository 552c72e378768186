//! Whose fault a failure is says what is tried next: another key, endpoint or target, the same again, or nothing.

use spillway_config::{Fallback, FallbackCondition};
use spillway_upstream::{Budget, Failure, Stop};

use crate::{Call, fail_all, pools};

#[test]
fn targets_come_in_order_each_once() {
    let pools = pools(&[(1, 1), (1, 0), (1, 1)]);
    let (attempts, stop) = fail_all(&pools, &Fallback::default(), Failure::Status(500));
    assert_eq!(
        (attempts, stop),
        (
            vec![(0, 0, Some(0)), (1, 0, None), (2, 0, Some(0))],
            Stop::Exhausted
        )
    );
}

#[test]
fn a_failure_that_is_not_listed_ends_the_call() {
    let fallback = Fallback {
        on: vec![FallbackCondition::Timeout],
        ..Fallback::default()
    };
    for failure in [Failure::Status(400), Failure::Reset, Failure::Status(500)] {
        let (attempts, stop) = fail_all(&pools(&[(1, 1), (1, 1)]), &fallback, failure);
        assert_eq!((attempts.len(), stop), (1, Stop::Exhausted), "{failure:?}");
    }
    for status in [400, 404, 413, 422] {
        let failure = Failure::Status(status);
        let (attempts, _) = fail_all(&pools(&[(1, 3), (1, 1)]), &Fallback::default(), failure);
        assert_eq!(attempts.len(), 1, "the client's own fault, {status}");
    }
    for status in [409, 424, 425, 498, 499] {
        let failure = Failure::Status(status);
        let (attempts, _) = fail_all(&pools(&[(1, 3), (1, 1)]), &Fallback::default(), failure);
        assert_eq!(
            attempts.len(),
            2,
            "the next target, by no other key, {status}"
        );
    }
}

#[test]
fn a_keys_fault_goes_to_the_next_key_whatever_is_listed() {
    let fallback = Fallback {
        on: Vec::new(),
        ..Fallback::default()
    };
    for status in [401, 402, 403, 429] {
        let (attempts, _) = fail_all(
            &pools(&[(2, 3), (1, 1)]),
            &fallback,
            Failure::Status(status),
        );
        let mut keys: Vec<_> = attempts
            .iter()
            .map(|(target, _, key)| (*target, *key))
            .collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [(0, Some(0)), (0, Some(1)), (0, Some(2))],
            "{status}: each key once, and no other target, as none is to follow"
        );
    }
}

#[test]
fn an_endpoints_fault_goes_to_the_next_endpoint_before_the_next_target() {
    let (attempts, _) = fail_all(
        &pools(&[(2, 1), (1, 1)]),
        &Fallback::default(),
        Failure::ConnectError,
    );
    let places: Vec<_> = attempts
        .iter()
        .map(|(target, endpoint, _)| (*target, *endpoint))
        .collect();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0)]);
}

#[test]
fn a_single_way_is_taken_once_more_if_that_may_help() {
    for (failure, attempts) in [
        (Failure::ConnectError, 2),
        (Failure::Reset, 2),
        (Failure::Truncated, 2),
        (Failure::Status(429), 2),
        (Failure::Status(503), 2),
        (Failure::Timeout, 1),
        (Failure::FirstTokenTimeout, 1),
        (Failure::Status(400), 1),
    ] {
        let (made, _) = fail_all(&pools(&[(1, 1)]), &Fallback::default(), failure);
        assert_eq!(made.len(), attempts, "{failure:?}");
    }
}

#[test]
fn several_keys_of_one_machine_are_one_way_where_the_machine_fails() {
    let (attempts, _) = fail_all(
        &pools(&[(1, 3)]),
        &Fallback::default(),
        Failure::Status(503),
    );
    assert_eq!(attempts.len(), 2);
}

#[test]
fn what_was_not_sent_goes_on_and_ends_no_rounds() {
    let pools = pools(&[(1, 1), (1, 1)]);
    let fallback = Fallback {
        max_attempts: 9,
        ..Fallback::default()
    };
    let budget = Budget::default();
    let mut call = Call::new(&pools, &fallback, &budget, 0);
    let first = call.attempt().unwrap();
    call.fails(first, Failure::Status(500));
    let second = call.attempt().unwrap();
    assert_eq!((first.0, second.0), (0, 1));
    call.fails(second, Failure::Unsupported);
    assert_eq!(call.attempt().map(|(target, _)| target), Ok(0), "once more");
    let mut other = Call::new(&pools, &fallback, &budget, 0);
    let first = other.attempt().unwrap();
    other.fails(first, Failure::Unsupported);
    let second = other.attempt().unwrap();
    assert_eq!(second.0, 1);
    other.fails(second, Failure::Unsupported);
    assert_eq!(other.attempt(), Err(Stop::Exhausted));
}

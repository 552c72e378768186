//! Calls that share a retry budget: it holds back a storm, and nobody whom another target would serve.

use std::time::Duration;

use spillway_config::{Fallback, FallbackCondition};
use spillway_upstream::{Budget, Failure};

use crate::{Call, pools};

#[test]
fn what_a_model_refuses_another_may_take_however_often() {
    let pools = pools(&[(1, 0), (1, 0)]);
    let fallback = Fallback {
        on: vec![FallbackCondition::ContextLength],
        ..Fallback::default()
    };
    let budget = Budget::default();
    for sequence in 0..500 {
        let mut call = Call::new(&pools, &fallback, &budget, sequence);
        let first = call.attempt().unwrap();
        call.fails(first, Failure::ContextLength(400));
        assert_eq!(call.attempt().map(|(target, _)| target), Ok(1));
    }
}

#[test]
fn calls_that_find_two_dead_targets_at_once_all_reach_the_third() {
    let pools = pools(&[(1, 0), (1, 0), (1, 0)]);
    let (fallback, budget) = (Fallback::default(), Budget::default());
    let mut calls: Vec<_> = (0..16)
        .map(|sequence| Call::new(&pools, &fallback, &budget, sequence))
        .collect();
    for target in 0..2 {
        let ways: Vec<_> = calls
            .iter_mut()
            .map(|call| call.attempt().unwrap())
            .collect();
        for (call, pick) in calls.iter_mut().zip(ways) {
            assert_eq!(pick.0, target);
            call.fails(pick, Failure::ConnectError);
        }
    }
    for call in &mut calls {
        assert_eq!(call.attempt().map(|(target, _)| target), Ok(2));
    }
}

#[test]
fn every_call_of_an_instance_may_move_to_another_endpoint() {
    let pools = pools(&[(1, 0), (1, 0)]);
    let (fallback, budget) = (Fallback::default(), Budget::default());
    let mut calls: Vec<_> = (0..100)
        .map(|sequence| Call::new(&pools, &fallback, &budget, sequence))
        .collect();
    let firsts: Vec<_> = calls
        .iter_mut()
        .map(|call| call.attempt().unwrap())
        .collect();
    for (call, first) in calls.iter_mut().zip(firsts) {
        assert_eq!(first.0, 0);
        call.fails(first, Failure::Reset);
        assert_eq!(call.attempt().map(|(target, _)| target), Ok(1));
    }
}

#[test]
fn a_storm_makes_a_fifth_more_attempts_than_calls() {
    // Failures that open nothing, and each time long after what the last ones ejected.
    let pools = pools(&[(1, 0), (1, 0)]);
    let (fallback, budget) = (Fallback::default(), Budget::default());
    let mut attempts = 0;
    for sequence in 0..1000 {
        let mut call = Call::new(&pools, &fallback, &budget, sequence);
        call.now += Duration::from_secs(10) * sequence;
        while let Ok(found) = call.attempt() {
            attempts += 1;
            call.fails(found, Failure::Status(429));
        }
    }
    assert_eq!(attempts, 1000 + 200);
}

//! How long a call waits before it tries again.

use std::time::Duration;

use spillway_config::{Fallback, TimeSpan};
use spillway_upstream::{Budget, Failure, Step, Stop};

use crate::{Call, assert_waits, picked, pools};

#[test]
fn more_attempts_go_round_after_a_longer_and_longer_wait() {
    let fallback = Fallback {
        max_attempts: 6,
        back_off: TimeSpan::from_millis(100),
        ..Fallback::default()
    };
    let budget = Budget::default();
    let pools = pools(&[(1, 0), (1, 0)]);
    let mut call = Call::new(&pools, &fallback, &budget, 5);
    let mut order = Vec::new();
    let mut waits = Vec::new();
    loop {
        match call.step() {
            Step::Try { target, candidates } => {
                let pick = picked(&pools[target], candidates);
                order.push(target);
                call.fails((target, pick), Failure::Status(503));
            }
            Step::Wait(time) => {
                waits.push(time);
                call.now += time;
                call.elapsed += time;
            }
            Step::Stop(stop) => {
                assert_eq!(stop, Stop::Attempts);
                break;
            }
        }
    }
    assert_eq!(order, [0, 1, 0, 1, 0, 1]);
    let millis = |time: &Duration| u64::try_from(time.as_millis()).unwrap();
    let waits: Vec<u64> = waits.iter().map(millis).collect();
    assert_eq!(waits.len(), 2);
    assert!(
        (50..=100).contains(&waits[0]) && (100..=200).contains(&waits[1]),
        "{waits:?}"
    );
}

#[test]
fn retry_after_is_waited_for_where_it_fits() {
    let pools_of_one = pools(&[(1, 0)]);
    for (deadline, expected) in [(60, Some(20)), (10, None)] {
        let fallback = Fallback {
            deadline: TimeSpan::from_secs(deadline),
            ..Fallback::default()
        };
        let budget = Budget::default();
        let mut call = Call::new(&pools_of_one, &fallback, &budget, 0);
        let (_, pick) = call.attempt().unwrap();
        call.chain
            .failed(pick, Failure::Status(503), Some(Duration::from_secs(20)));
        match expected {
            Some(seconds) => assert_waits(call.step(), seconds),
            None => assert_eq!(call.step(), Step::Stop(Stop::Deadline)),
        }
    }
}

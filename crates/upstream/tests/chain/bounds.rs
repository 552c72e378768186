//! Whatever providers do: a call ends, and within its bounds.

use std::time::Duration;

use proptest::prelude::*;
use spillway_config::{Fallback, TimeSpan};
use spillway_upstream::{AttemptOutcome, Blame, Budget, Failure, Step};

use crate::{ANN, Call, picked, pools};

fn failures() -> impl Strategy<Value = Failure> {
    prop::sample::select(vec![
        Failure::ConnectError,
        Failure::HostNotAllowed,
        Failure::Timeout,
        Failure::FirstTokenTimeout,
        Failure::Reset,
        Failure::Truncated,
        Failure::ContextLength(400),
        Failure::ContentFilter(200),
        Failure::Status(400),
        Failure::Status(401),
        Failure::Status(403),
        Failure::Status(408),
        Failure::Status(429),
        Failure::Status(500),
    ])
}

proptest! {
    /// Whatever fails how: a call ends, keeps to its bounds, and in one round takes no way whose part was at fault.
    #[test]
    fn every_call_ends_within_its_bounds(
        sizes in prop::collection::vec((1..4_usize, 0..4_usize), 1..4),
        max_attempts in 0..8_u32,
        deadline in 1..300_u64,
        sequence in any::<u32>(),
        told in prop::collection::vec((failures(), prop::option::of(0..40_u64)), 60),
    ) {
        let pools = pools(&sizes);
        let budget = Budget::default();
        let fallback = Fallback {
            max_attempts,
            deadline: TimeSpan::from_secs(deadline),
            ..Fallback::default()
        };
        let mut call = Call::new(&pools, &fallback, &budget, sequence);
        let mut culprits: Vec<(usize, Option<usize>, Option<usize>)> = Vec::new();
        let mut attempts = 0_u32;
        let mut told = told.into_iter();
        loop {
            match call.step() {
                Step::Wait(time) => {
                    prop_assert!(call.elapsed + time < fallback.deadline.duration());
                    prop_assert!(!time.is_zero());
                    call.now += time;
                    call.elapsed += time;
                    culprits.clear();
                }
                Step::Stop(_) => break,
                Step::Try { target, candidates } => {
                    let pick = picked(&pools[target], candidates);
                    attempts += 1;
                    prop_assert!(!culprits.contains(&(target, Some(pick.endpoint), None)));
                    prop_assert!(pick.credential.is_none() || !culprits.contains(&(target, None, pick.credential)));
                    let (failure, retry_after) = told.next().unwrap();
                    let retry_after = retry_after.map(Duration::from_secs);
                    match failure.blame() {
                        Blame::Endpoint => culprits.push((target, Some(pick.endpoint), None)),
                        Blame::Key if pick.credential.is_none() => culprits.push((target, Some(pick.endpoint), None)),
                        Blame::Key => culprits.push((target, None, pick.credential)),
                        Blame::Nobody => {}
                    }
                    pools[target].report(call.now, ANN, pick, AttemptOutcome::Failed(failure, retry_after));
                    call.chain.failed(pick, failure, retry_after);
                }
            }
        }
        prop_assert_eq!(attempts, call.chain.attempts());
        if max_attempts > 0 {
            prop_assert!(attempts <= max_attempts);
        }
        prop_assert!(attempts <= 60, "the script's length: nothing goes on for ever");
    }
}

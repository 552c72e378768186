//! Which way a call takes after which failure.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test"
)]

mod set_aside;

use std::time::Duration;

use proptest::prelude::*;
use spillway_config::{Fallback, FallbackCondition, Gateway, TimeSpan};
use spillway_failover::{Budget, Chain, Failure, Outcome, Pool, Step, Stop, Way};

/// Whose calls they are.
const ANN: &str = "ann";

/// Pools of providers with so many endpoints and keys.
fn pools(sizes: &[(usize, usize)]) -> Vec<Pool> {
    let list = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(",")
    };
    let providers: Vec<String> = sizes
        .iter()
        .enumerate()
        .map(|(number, (endpoints, keys))| {
            let urls = list(*endpoints, &|index| {
                format!("\"http://p{number}-{index}/v1\"")
            });
            let keys = list(*keys, &|index| format!("\"key-{number}-{index}\""));
            format!(r#"{{"name":"p{number}","endpoints":[{urls}],"api_keys":[{keys}]}}"#)
        })
        .collect();
    let document = format!(r#"{{"providers":[{}]}}"#, providers.join(","));
    let gateway: Gateway = serde_json::from_str(&document).unwrap();
    gateway
        .providers
        .iter()
        .map(|provider| Pool::new(provider).unwrap())
        .collect()
}

struct Call<'a> {
    chain: Chain<'a>,
    pools: &'a [Pool],
    now: Duration,
    /// Since the call's arrival, waits included.
    elapsed: Duration,
}

impl<'a> Call<'a> {
    fn new(pools: &'a [Pool], fallback: &'a Fallback, budget: &'a Budget, turn: u32) -> Self {
        let targets = pools.iter().enumerate();
        let targets = targets.map(|(index, pool)| (index, pool, "m"));
        Self {
            chain: Chain::new(targets, fallback, budget, ANN, turn),
            pools,
            now: Duration::from_secs(100),
            elapsed: Duration::ZERO,
        }
    }

    fn step(&mut self) -> Step {
        self.chain.next(self.now, 1_800_000_000, self.elapsed)
    }

    /// The next attempt, waits waited for.
    fn attempt(&mut self) -> Result<(usize, Way), Stop> {
        loop {
            match self.step() {
                Step::Try { target, way } => return Ok((target, way)),
                Step::Wait(time) => {
                    self.now += time;
                    self.elapsed += time;
                }
                Step::Stop(stop) => return Err(stop),
            }
        }
    }

    fn fails(&mut self, (target, way): (usize, Way), failure: Failure) {
        self.pools[target].report(self.now, ANN, way, Outcome::Failed(failure, None));
        self.chain.failed(way, failure, None);
    }
}

/// The targets and keys of every attempt of a call that fails so each time, and why it stops.
fn fail_all(
    pools: &[Pool],
    fallback: &Fallback,
    failure: Failure,
) -> (Vec<(usize, usize, Option<usize>)>, Stop) {
    let budget = Budget::default();
    let mut call = Call::new(pools, fallback, &budget, 0);
    let mut attempts = Vec::new();
    loop {
        match call.attempt() {
            Ok((target, way)) => {
                attempts.push((target, way.endpoint, way.key));
                call.fails((target, way), failure);
            }
            Err(stop) => return (attempts, stop),
        }
    }
}

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
    for status in [400, 404, 409, 413, 422] {
        let failure = Failure::Status(status);
        let (attempts, _) = fail_all(&pools(&[(1, 3), (1, 1)]), &Fallback::default(), failure);
        assert_eq!(attempts.len(), 1, "the client's own fault, {status}");
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
            Step::Try { target, way } => {
                order.push(target);
                call.fails((target, way), Failure::Status(503));
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
        let (_, way) = call.attempt().unwrap();
        call.chain
            .failed(way, Failure::Status(503), Some(Duration::from_secs(20)));
        match expected {
            Some(seconds) => assert_waits(call.step(), seconds),
            None => assert_eq!(call.step(), Step::Stop(Stop::Deadline)),
        }
    }
}

/// For so long, and a little more, so that not all come back at once.
fn assert_waits(step: Step, seconds: u64) {
    let wait = Duration::from_secs(seconds);
    match step {
        Step::Wait(time) => assert!(
            time >= wait && time <= wait + Duration::from_secs(2),
            "{time:?}"
        ),
        other => assert_eq!(other, Step::Wait(wait)),
    }
}

#[test]
fn what_a_model_refuses_another_may_take_however_often() {
    let pools = pools(&[(1, 0), (1, 0)]);
    let fallback = Fallback {
        on: vec![FallbackCondition::ContextLength],
        ..Fallback::default()
    };
    let budget = Budget::default();
    for turn in 0..500 {
        let mut call = Call::new(&pools, &fallback, &budget, turn);
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
        .map(|turn| Call::new(&pools, &fallback, &budget, turn))
        .collect();
    for target in 0..2 {
        let ways: Vec<_> = calls
            .iter_mut()
            .map(|call| call.attempt().unwrap())
            .collect();
        for (call, way) in calls.iter_mut().zip(ways) {
            assert_eq!(way.0, target);
            call.fails(way, Failure::ConnectError);
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
        .map(|turn| Call::new(&pools, &fallback, &budget, turn))
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
    // Failures that open nothing, and each time long after what the last ones set aside.
    let pools = pools(&[(1, 0), (1, 0)]);
    let (fallback, budget) = (Fallback::default(), Budget::default());
    let mut attempts = 0;
    for turn in 0..1000 {
        let mut call = Call::new(&pools, &fallback, &budget, turn);
        call.now += Duration::from_secs(10) * turn;
        while let Ok(found) = call.attempt() {
            attempts += 1;
            call.fails(found, Failure::Status(429));
        }
    }
    assert_eq!(attempts, 1000 + 200);
}

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
        turn in any::<u32>(),
        told in prop::collection::vec((failures(), prop::option::of(0..40_u64)), 60),
    ) {
        let pools = pools(&sizes);
        let budget = Budget::default();
        let fallback = Fallback {
            max_attempts,
            deadline: TimeSpan::from_secs(deadline),
            ..Fallback::default()
        };
        let mut call = Call::new(&pools, &fallback, &budget, turn);
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
                Step::Try { target, way } => {
                    attempts += 1;
                    prop_assert!(!culprits.contains(&(target, Some(way.endpoint), None)));
                    prop_assert!(way.key.is_none() || !culprits.contains(&(target, None, way.key)));
                    let (failure, retry_after) = told.next().unwrap();
                    let retry_after = retry_after.map(Duration::from_secs);
                    match failure.blame() {
                        spillway_failover::Blame::Endpoint => culprits.push((target, Some(way.endpoint), None)),
                        spillway_failover::Blame::Key if way.key.is_none() => culprits.push((target, Some(way.endpoint), None)),
                        spillway_failover::Blame::Key => culprits.push((target, None, way.key)),
                        spillway_failover::Blame::Nobody => {}
                    }
                    pools[target].report(call.now, ANN, way, Outcome::Failed(failure, retry_after));
                    call.chain.failed(way, failure, retry_after);
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

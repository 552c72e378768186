//! What is ejected is passed by, used in need, or waited for.

use std::time::Duration;

use spillway_config::{Fallback, TimeSpan};
use spillway_upstream::{AttemptOutcome, Budget, Chain, Failure, Pick, Step, Stop};

use crate::{ANN, Call, assert_waits, fail_all, picked, pools};

#[test]
fn while_all_keys_cool_a_call_waits_or_is_told_for_how_long() {
    let pools = pools(&[(1, 1)]);
    let now = Duration::from_secs(100);
    let pick = Pick {
        endpoint: 0,
        credential: Some(0),
    };
    let limited = AttemptOutcome::Failed(Failure::Status(429), Some(Duration::from_secs(30)));
    pools[0].report(now, ANN, pick, limited);
    let rest = Duration::from_secs(30);
    for (deadline, waits) in [(280, true), (20, false)] {
        let fallback = Fallback {
            deadline: TimeSpan::from_secs(deadline),
            ..Fallback::default()
        };
        let budget = Budget::default();
        let step = Call::new(&pools, &fallback, &budget, 7).step();
        if waits {
            assert_waits(step, 30);
        } else {
            assert_eq!(step, Step::Stop(Stop::Cooling(rest)));
        }
    }
}

#[test]
fn who_finds_everybody_limited_comes_back_when_asked_to() {
    for sizes in [&[(1, 2)][..], &[(1, 1), (1, 1)]] {
        let pools = pools(sizes);
        let (fallback, budget) = (Fallback::default(), Budget::default());
        let mut call = Call::new(&pools, &fallback, &budget, 0);
        for _ in 0..2 {
            let (target, pick) = call.attempt().unwrap();
            let told = Some(Duration::from_secs(1));
            let limited = AttemptOutcome::Failed(Failure::Status(429), told);
            pools[target].report(call.now, ANN, pick, limited);
            call.chain.failed(pick, Failure::Status(429), told);
        }
        assert_waits(call.step(), 1);
        call.now += Duration::from_secs(3);
        assert!(call.attempt().is_ok());
    }
}

#[test]
fn an_open_endpoint_is_passed_by_and_serves_in_need() {
    let pools = pools(&[(1, 0), (1, 0)]);
    let pick = Pick {
        endpoint: 0,
        credential: None,
    };
    let now = Duration::from_secs(100);
    for _ in 0..5 {
        pools[0].report(
            now,
            ANN,
            pick,
            AttemptOutcome::Failed(Failure::ConnectError, None),
        );
    }
    let (fallback, budget) = (Fallback::default(), Budget::default());
    assert_eq!(
        Call::new(&pools, &fallback, &budget, 0).attempt(),
        Ok((1, pick))
    );
    for _ in 0..5 {
        pools[1].report(
            now,
            ANN,
            pick,
            AttemptOutcome::Failed(Failure::ConnectError, None),
        );
    }
    // Either may have recovered, so calls take turns.
    assert_eq!(
        Call::new(&pools, &fallback, &budget, 1).attempt(),
        Ok((1, pick))
    );
    let (attempts, _) = fail_all(&pools, &fallback, Failure::ConnectError);
    assert_eq!(
        attempts,
        [(0, 0, None)],
        "one attempt, and none that only adds to the storm"
    );
}

#[test]
fn nobody_waits_for_a_key_while_another_one_is_good() {
    let pools = pools(&[(1, 2)]);
    let fallback = Fallback {
        max_attempts: 3,
        ..Fallback::default()
    };
    let budget = Budget::default();
    let mut call = Call::new(&pools, &fallback, &budget, 0);
    let (_, pick) = call.attempt().unwrap();
    let told = Some(Duration::from_secs(8));
    let limited = AttemptOutcome::Failed(Failure::Status(429), told);
    pools[0].report(call.now, ANN, pick, limited);
    call.chain.failed(pick, Failure::Status(429), told);
    let found = call.attempt().unwrap();
    assert_ne!(found.1.credential, pick.credential);
    call.fails(found, Failure::Status(500));
    match call.step() {
        Step::Wait(time) => assert!(time <= Duration::from_millis(250), "{time:?}"),
        other => assert!(matches!(other, Step::Wait(_)), "{other:?}"),
    }
}

/// Answers a call's last attempt with a status, and the time that the provider asked to be left alone for.
fn answers(call: &mut Call<'_>, (target, pick): (usize, Pick), status: u16, told: Option<u64>) {
    let told = told.map(Duration::from_secs);
    let failure = Failure::Status(status);
    call.pools[target].report(call.now, ANN, pick, AttemptOutcome::Failed(failure, told));
    call.chain.failed(pick, failure, told);
}

#[test]
fn a_busy_provider_without_a_key_is_passed_by_until_it_takes_calls_again() {
    for (status, told, aside_for) in [
        (429, None, 2),
        (429, Some(30), 30),
        (401, None, 2),
        (402, None, 2),
        (403, None, 2),
    ] {
        let pools = pools(&[(1, 0), (1, 0)]);
        let (fallback, budget) = (Fallback::default(), Budget::default());
        let mut first_asked = 0;
        for sequence in 0..100 {
            let mut call = Call::new(&pools, &fallback, &budget, sequence);
            let mut found = call.attempt().unwrap();
            if found.0 == 0 {
                first_asked += 1;
                answers(&mut call, found, status, told);
                found = call.attempt().unwrap();
            }
            assert_eq!((found.0, call.elapsed), (1, Duration::ZERO), "{status}");
            call.pools[1].report(call.now, ANN, found.1, AttemptOutcome::Served);
        }
        assert_eq!(first_asked, 1, "{status}");
        let mut call = Call::new(&pools, &fallback, &budget, 0);
        call.now += Duration::from_secs(aside_for);
        assert_eq!(call.attempt().map(|(target, _)| target), Ok(0), "{status}");
    }
}

#[test]
fn what_one_client_may_not_do_without_a_key_moves_no_other() {
    let pools = pools(&[(1, 0), (1, 0)]);
    let (fallback, budget) = (Fallback::default(), Budget::default());
    let mut call = Call::new(&pools, &fallback, &budget, 0);
    let first = call.attempt().unwrap();
    pools[0].report(call.now, ANN, first.1, AttemptOutcome::Served);
    let mut forbidden = Call::new(&pools, &fallback, &budget, 1);
    let found = forbidden.attempt().unwrap();
    answers(&mut forbidden, found, 403, None);
    assert_eq!(forbidden.attempt().map(|(target, _)| target), Ok(1));
    let mut other = Call::new(&pools, &fallback, &budget, 2);
    assert_eq!(other.attempt(), Ok(first));
}

#[test]
fn calls_that_find_a_busy_provider_without_a_key_at_once_all_move_on() {
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
        answers(call, first, 429, None);
        assert_eq!(call.attempt().map(|(target, _)| target), Ok(1));
    }
}

#[test]
fn of_several_machines_without_a_key_the_others_serve_while_one_is_busy() {
    let pools = pools(&[(2, 0), (1, 0)]);
    let (fallback, budget) = (Fallback::default(), Budget::default());
    let mut call = Call::new(&pools, &fallback, &budget, 0);
    let first = call.attempt().unwrap();
    answers(&mut call, first, 429, None);
    let second = call.attempt().unwrap();
    assert_eq!((second.0, second.1.endpoint), (0, 1));
    let mut other = Call::new(&pools, &fallback, &budget, 0);
    assert_eq!(other.attempt(), Ok(second));
}

#[test]
fn where_all_without_a_key_are_busy_calls_ask_the_first_and_do_not_wait() {
    let pools = pools(&[(1, 0), (1, 0)]);
    let (fallback, budget) = (Fallback::default(), Budget::default());
    let mut call = Call::new(&pools, &fallback, &budget, 0);
    for target in [0, 1] {
        let found = call.attempt().unwrap();
        assert_eq!(found.0, target);
        answers(&mut call, found, 429, Some(30));
    }
    for sequence in 1..100 {
        let mut other = Call::new(&pools, &fallback, &budget, sequence);
        assert!(matches!(other.step(), Step::Try { target: 0, .. }));
    }
}

#[test]
fn a_suspect_key_is_used_where_there_is_no_other_way() {
    let (fallback, budget) = (Fallback::default(), Budget::default());
    let only = pools(&[(1, 1)]);
    let mut call = Call::new(&only, &fallback, &budget, 0);
    let first = call.attempt().unwrap();
    answers(&mut call, first, 403, None);
    assert_eq!(call.step(), Step::Stop(Stop::Exhausted));
    for sequence in 0..10 {
        let mut other = Call::new(&only, &fallback, &budget, sequence);
        assert_eq!(
            (other.attempt(), other.elapsed),
            (Ok(first), Duration::ZERO)
        );
    }
    let mut limited = Call::new(&only, &fallback, &budget, 0);
    let again = limited.attempt().unwrap();
    answers(&mut limited, again, 429, None);
    assert_waits(Call::new(&only, &fallback, &budget, 0).step(), 2);

    // The second target is better as long as it serves.
    let two = pools(&[(1, 1), (1, 1)]);
    let mut call = Call::new(&two, &fallback, &budget, 0);
    let first = call.attempt().unwrap();
    answers(&mut call, first, 403, None);
    let mut other = Call::new(&two, &fallback, &budget, 0);
    let found = other.attempt().unwrap();
    assert_eq!(found.0, 1);
    answers(&mut other, found, 429, Some(30));
    assert_eq!(
        (other.attempt(), other.elapsed),
        (Ok(first), Duration::ZERO)
    );
}

#[test]
fn who_was_forbidden_by_one_key_waits_for_the_other() {
    let pools = pools(&[(1, 2)]);
    let (fallback, budget) = (Fallback::default(), Budget::default());
    let mut call = Call::new(&pools, &fallback, &budget, 0);
    let first = call.attempt().unwrap();
    answers(&mut call, first, 403, None);
    let second = call.attempt().unwrap();
    answers(&mut call, second, 429, Some(5));
    assert_waits(call.step(), 5);
    call.now += Duration::from_secs(7);
    assert_eq!(
        call.attempt().map(|(_, pick)| pick.credential),
        Ok(second.1.credential)
    );
}

#[test]
fn no_wait_leaves_a_call_without_time_to_be_answered() {
    let pools = pools(&[(1, 1)]);
    let (fallback, budget) = (
        Fallback {
            deadline: TimeSpan::from_millis(30_200),
            ..Fallback::default()
        },
        Budget::default(),
    );
    let mut call = Call::new(&pools, &fallback, &budget, 0);
    let first = call.attempt().unwrap();
    answers(&mut call, first, 429, Some(30));
    for sequence in 0..50 {
        let mut other = Call::new(&pools, &fallback, &budget, sequence);
        other.attempt().unwrap();
        let left = fallback.deadline.duration().saturating_sub(other.elapsed);
        assert!(left >= Duration::from_millis(100), "{sequence}: {left:?}");
    }
}

#[test]
fn another_model_of_a_limited_provider_is_asked_once_before_any_wait() {
    for (keys, models, asks) in [
        (1, ["big", "small"], true),
        (0, ["big", "small"], true),
        (1, ["big", "big"], false),
    ] {
        let pools = pools(&[(1, keys)]);
        let (fallback, budget) = (Fallback::default(), Budget::default());
        let mut call = Call::new(&pools, &fallback, &budget, 0);
        let targets = models.iter().map(|model| (&pools[0], *model));
        call.chain = Chain::new(targets, &fallback, &budget, ANN, 0);
        let mut attempts = 0;
        while let Step::Try { target, candidates } = call.step() {
            let pick = picked(&pools[0], candidates);
            assert_eq!(target, attempts);
            attempts += 1;
            let limited = AttemptOutcome::Failed(Failure::Status(429), None);
            pools[0].report(call.now, ANN, pick, limited);
            call.chain.failed(pick, Failure::Status(429), None);
        }
        assert_eq!(attempts, if asks { 2 } else { 1 }, "{models:?}");
    }
}

#[test]
fn what_one_consumer_is_refused_moves_no_other() {
    for (status, told) in [
        (401, None),
        (402, None),
        (403, None),
        (429, Some(3000)),
        (500, None),
    ] {
        for keys in [1, 0] {
            let pools = pools(&[(1, keys), (1, 1)]);
            let (fallback, budget) = (Fallback::default(), Budget::default());
            for sequence in 0..6 {
                let mut call = Call::new(&pools, &fallback, &budget, sequence);
                let found = call.attempt().unwrap();
                if found.0 == 0 {
                    answers(&mut call, found, status, told);
                    assert_eq!(call.attempt().map(|(target, _)| target), Ok(1));
                }
            }
            let mut other = Call::new(&pools, &fallback, &budget, 7);
            let targets = pools.iter().map(|pool| (pool, "m"));
            other.chain = Chain::new(targets, &fallback, &budget, "bob", 7);
            assert_eq!(
                (other.attempt().map(|(target, _)| target), other.elapsed),
                (Ok(0), Duration::ZERO),
                "{status} with {keys} keys"
            );
        }
    }
}

//! One end for all that a request waits for the store, whatever it asks.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use spillway_platform_sim::{Sim, StoreDelivery, StoreFault, StoreOpening};

use super::models::{answer, chat};
use super::round_trips::{MODEL_RULES, signed, world};
use super::{Client, Kind, serve};

const ALL: Duration = Duration::from_millis(140);

/// A store to which a connection takes so long, and an answer so long.
fn slow(sim: &Sim, opening: u64, answering: u64) {
    let open = StoreOpening::After(Duration::from_millis(opening));
    let deliver = move |_: &_, _| StoreDelivery {
        there: Duration::ZERO,
        back: Duration::from_millis(answering),
        fault: StoreFault::None,
    };
    sim.set_store_network(move || open, deliver);
}

/// When each of two signed and limited calls got to its provider, since it came; with the statuses.
fn forwarded_after(sim: &Sim) -> Vec<(u16, Duration)> {
    let times = Rc::new(RefCell::new(Vec::new()));
    let (clock, seen) = (sim.clone(), Rc::clone(&times));
    sim.set_upstream("first:1", move |_| {
        seen.borrow_mut().push(clock.time());
        answer()
    });
    let calls = vec![
        (signed("n-1"), Client::Reads),
        (signed("n-2"), Client::Reads),
    ];
    let began = sim.time();
    let answers = serve(sim, Kind::Model, calls);
    let mut last = began;
    let mut after = Vec::new();
    for (answer, time) in answers.iter().zip(times.take()) {
        after.push((answer.status, time.saturating_sub(last)));
        // The client waits a moment after each.
        last = time.saturating_add(Duration::from_millis(1));
    }
    after
}

/// How long each request took, in milliseconds.
fn took(sim: &Sim) -> Vec<u64> {
    let lines = sim.log_lines();
    let requests = lines.iter().filter_map(|line| {
        let (_, rest) = line.split_once(" ms=")?;
        rest.split(' ').next()?.parse().ok()
    });
    requests.collect()
}

fn rules(on_error: &str) -> Sim {
    let rules = MODEL_RULES.replace(
        r#""rule_name": "r","#,
        &format!(r#""rule_name": "r", "on_error": "{on_error}","#),
    );
    world("", &format!(", {rules}"))
}

#[test]
fn slow_answers_are_waited_for_together_no_longer_than_one() {
    // The nonce, the limits, and what is known of the providers: each within the time, all of them not.
    for (answering, expected) in [(40, 120), (60, 140), (100, 140), (1_000, 140)] {
        let sim = rules("allow");
        slow(&sim, 0, answering);
        let after = forwarded_after(&sim);
        assert_eq!(after[0].0, 200);
        let expected = Duration::from_millis(expected);
        assert!(
            after[0].1 >= expected && after[0].1 <= expected + Duration::from_millis(1),
            "{answering}: {after:?}"
        );
    }
}

#[test]
fn so_is_a_connection_that_is_opened() {
    for opening in [200, 100_000] {
        let sim = rules("allow");
        slow(&sim, opening, 1);
        let after = forwarded_after(&sim);
        assert!(after.iter().all(|(status, _)| *status == 200), "{after:?}");
        assert!(after[0].1 <= ALL + Duration::from_millis(1), "{after:?}");
        let told = sim.log_lines().join("\n");
        assert!(told.contains("no answer within 140 ms"), "{told}");
    }
}

#[test]
fn what_is_late_is_decided_as_on_error_says() {
    let sim = rules("deny");
    // In time for the nonce, and not for the limits, too.
    slow(&sim, 0, 100);
    let answers = serve(&sim, Kind::Model, vec![(signed("n-1"), Client::Reads)]);
    assert_eq!(answers[0].status, 503, "{}", answers[0].text());
    assert!(answers[0].text().contains("state_unavailable"));
    assert_eq!(took(&sim), [140]);
    assert_eq!(sim.asked().len(), 0);
}

/// A connection that has been opening for twice as long as a request waits is waited for by nobody any more.
#[test]
fn a_connection_that_never_stands_holds_up_only_those_that_come_first() {
    let sim = rules("allow");
    slow(&sim, 100_000, 0);
    sim.set_upstream("first:1", |_| answer());
    let call = || {
        let call = chat("m", "").header("authorization", "Bearer sk-team");
        (call, Client::Reads)
    };
    let answers = serve(&sim, Kind::Model, (0..20).map(|_| call()).collect());
    assert!(answers.iter().all(|answer| answer.status == 200));
    let waited = took(&sim).into_iter().filter(|took| *took > 0);
    assert_eq!(waited.collect::<Vec<_>>(), [140, 140]);
}

/// All of an instance have one opinion of a store that is gone: none of what a request asks waits for it, once three
/// verdicts are missing.
#[test]
fn a_store_that_says_nothing_is_left_alone_by_all_of_an_instance() {
    let sim = rules("allow");
    sim.set_store_network(
        || StoreOpening::Refused,
        |_, _| StoreDelivery {
            there: Duration::ZERO,
            back: Duration::ZERO,
            fault: StoreFault::None,
        },
    );
    let call = || {
        let call = chat("m", "").header("authorization", "Bearer sk-team");
        (call, Client::Reads)
    };
    // Two verdicts of a signed call, and one; what is known of providers is asked for beside them.
    let answers = serve(
        &sim,
        Kind::Model,
        vec![(signed("n-1"), Client::Reads), call(), call()],
    );
    assert!(answers.iter().all(|answer| answer.status == 200));
    let notes = sim.store_notes();
    // Later on the totals are tried.
    let during = notes.iter().filter(|(at, _)| at.time < ALL);
    assert_eq!(during.count(), 4, "{notes:?}");
}

//! Histories that are written down: what went wrong once, or must not.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use spillway_sim::history::{Ending, History, Outcome};
use spillway_sim::plan::{
    Api, Behaviour, BodyPlan, Fault, Leave, Oddity, Persona, Plan, RequestPlan, StorePlan, Strike,
    When,
};
use spillway_sim::settings::Settings;
use spillway_sim::{run, trace, violations};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Nothing is wrong, and nobody has come yet.
fn calm() -> Plan {
    Plan {
        seed: 1,
        settings: Settings {
            instances: 1,
            calls_a_minute: 100,
            calls_a_second: None,
            by_key: false,
            dry_run: false,
            requests_a_minute: 100,
            at_once: 100,
            denies: false,
            max_attempts: 0,
            refused_goes_on: false,
            deadline: seconds(280),
            keep_alive: seconds(15),
            timeout: None,
            keys: 1,
            endpoints: 1,
            second_is_anthropic: false,
            has_second: true,
            least_request: false,
            probes: Behaviour::Well,
            breaker_failures: None,
            first_byte: seconds(30),
        },
        requests: Vec::new(),
        faults: Vec::new(),
        store: StorePlan {
            latency_us: 500,
            ..StorePlan::default()
        },
        outages: Vec::new(),
    }
}

fn request(plan: &mut Plan, at: Duration, api: Api) -> &mut RequestPlan {
    let number = u32::try_from(plan.requests.len()).unwrap();
    plan.requests.push(RequestPlan {
        number,
        at,
        api,
        caller: Persona::Ada,
        nonce: number,
        subject: 0,
        padding: 0,
        body: BodyPlan::Whole,
        behaviours: Vec::new(),
        pause: Duration::ZERO,
        leaves: None,
    });
    plan.requests.last_mut().unwrap()
}

/// What happens, which keeps to all invariants.
fn happens(plan: &Plan) -> History {
    let history = run(plan);
    let found = violations(&history);
    assert!(found.is_empty(), "{found:#?}\n{}", trace(&history));
    history
}

fn outcome(history: &History, number: u32) -> &Outcome {
    let outcomes = history.outcomes.iter();
    outcomes
        .into_iter()
        .find(|one| one.number == number)
        .unwrap()
}

fn status(history: &History, number: u32) -> u16 {
    match &outcome(history, number).ending {
        Ending::Answered(answer) => answer.status,
        other => panic!("request {number}: {other:?}\n{}", trace(history)),
    }
}

#[test]
fn a_stream_waits_for_nothing_but_the_store() {
    let mut plan = calm();
    request(&mut plan, seconds(1), Api::ChatStream);
    let history = happens(&plan);
    let outcome = outcome(&history, 0);
    assert!(
        outcome.ended.time - outcome.sent.time < Duration::from_millis(10),
        "{}",
        trace(&history)
    );
}

#[test]
fn a_place_that_is_asked_for_twice_is_one() {
    let mut plan = calm();
    plan.settings.at_once = 1;
    plan.store.resets = 1_000;
    request(&mut plan, seconds(1), Api::Run);
    request(&mut plan, seconds(3), Api::Run);
    let history = happens(&plan);
    assert_eq!([status(&history, 0), status(&history, 1)], [200, 200]);
    assert_eq!(history.leases, []);
}

#[test]
fn places_of_an_instance_that_died_are_free_after_their_lease() {
    let mut plan = calm();
    plan.settings.at_once = 1;
    let run = request(&mut plan, seconds(1), Api::RunStream);
    run.behaviours = vec![Behaviour::StallAt(500)];
    request(&mut plan, seconds(10), Api::Run);
    request(&mut plan, seconds(50), Api::Run);
    plan.faults = vec![Fault {
        when: When::At(seconds(5)),
        what: Strike::Deaths,
    }];
    let history = happens(&plan);
    assert_eq!([status(&history, 1), status(&history, 2)], [429, 200]);
}

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    let mut plan = calm();
    plan.settings.at_once = 1;
    let run = request(&mut plan, seconds(1), Api::RunStream);
    run.behaviours = vec![Behaviour::Pieces(20, seconds(1))];
    run.leaves = Some(Leave::Pieces(2));
    request(&mut plan, seconds(8), Api::Run);
    let history = happens(&plan);
    assert_eq!(status(&history, 1), 200);
}

#[test]
fn a_stream_that_is_cut_goes_on_elsewhere_before_its_content_and_says_so_after() {
    let mut plan = calm();
    let early = request(&mut plan, seconds(1), Api::ChatStream);
    early.behaviours = vec![Behaviour::Reset];
    let late = request(&mut plan, seconds(2), Api::ChatStream);
    late.behaviours = vec![Behaviour::CutAt(700)];
    let history = happens(&plan);
    let attempts = |number| history.attempts(number).count();
    assert_eq!([attempts(0), attempts(1)], [2, 1]);
    let text = outcome(&history, 1).answer().unwrap().text();
    assert!(
        text.contains("\"error\"") && !text.contains("[DONE]"),
        "{text}"
    );
}

#[test]
fn a_store_that_says_nothing_lets_pass_or_refuses_as_configured() {
    for (denies, expected) in [(false, 200), (true, 503)] {
        let mut plan = calm();
        plan.settings.denies = denies;
        request(&mut plan, seconds(2), Api::Chat);
        plan.faults = vec![Fault {
            when: When::At(seconds(1)),
            what: Strike::StoreSilent(seconds(30)),
        }];
        assert_eq!(status(&happens(&plan), 0), expected);
    }
}

#[test]
fn what_one_consumer_makes_a_provider_answer_is_no_others_affair() {
    let mut plan = calm();
    for number in 0..12_u64 {
        let call = request(&mut plan, seconds(number), Api::Chat);
        if number < 10 {
            call.caller = Persona::Bob;
            let all = [500, 401, 429, 402, 403];
            let status = all[usize::try_from(number).unwrap() % all.len()];
            call.behaviours = vec![Behaviour::Status(status, Some(3_600)); 4];
        }
    }
    let history = happens(&plan);
    assert_eq!([status(&history, 10), status(&history, 11)], [200, 200]);
    assert_eq!(history.attempts(10).count(), 1);
}

#[test]
fn a_request_that_the_runtime_gives_up_takes_no_connection_with_it() {
    // At each turn of the first request.
    for turn in 1..40 {
        let mut plan = calm();
        plan.settings.denies = true;
        for at in [1, 1, 60, 70] {
            request(&mut plan, seconds(at), Api::Chat);
        }
        plan.faults = vec![Fault {
            when: When::Turn(turn),
            what: Strike::Cancel(1),
        }];
        let history = happens(&plan);
        let others = history.outcomes.iter();
        for outcome in others.filter(|one| one.ending != Ending::Lost) {
            assert_eq!(
                status(&history, outcome.number),
                200,
                "turn {turn}\n{}",
                trace(&history)
            );
        }
    }
}

#[test]
fn a_stream_at_whose_piece_its_time_ends_says_so() {
    let mut plan = calm();
    plan.store.latency_us = 0;
    let run = request(&mut plan, seconds(1), Api::RunStream);
    // One comes when two minutes are over, which is all that a run has here.
    run.behaviours = vec![Behaviour::Pieces(1, seconds(6))];
    let history = happens(&plan);
    let text = outcome(&history, 0).answer().unwrap().text();
    assert!(
        text.contains("as long as the gateway lets one last"),
        "{text}"
    );
    assert_eq!(
        history.records(0).next().unwrap()["reason"],
        "stream_broken"
    );
}

/// How often an oddity's request is sent, and whether its client is told of an error in the end.
fn of_oddity(refused_goes_on: bool, oddity: Oddity) -> (usize, u16, bool) {
    let mut plan = calm();
    plan.settings.refused_goes_on = refused_goes_on;
    let call = request(&mut plan, seconds(1), Api::ChatStream);
    // One with several words.
    call.number = 5;
    call.behaviours = vec![Behaviour::Odd(oddity)];
    let history = happens(&plan);
    let text = outcome(&history, 5).answer().unwrap().text();
    let attempts = history.attempts(5).count();
    (attempts, status(&history, 5), text.contains("\"error\""))
}

#[test]
fn what_providers_do_oddly_costs_nothing_or_is_told_or_is_asked_of_another() {
    for oddity in Oddity::ALL {
        let expected = match oddity {
            _ if oddity.is_harmless() => (1, 200, false),
            // Content has gone out.
            Oddity::FailingFinish | Oddity::ErrorBesideChoices => (1, 200, true),
            Oddity::Filtered | Oddity::TooLong => (1, 400, true),
            _ => (2, 200, false),
        };
        assert_eq!(of_oddity(false, oddity), expected, "{oddity:?}");
        if expected.1 == 400 {
            assert_eq!(of_oddity(true, oddity), (2, 200, false), "{oddity:?}");
        }
    }
}

//! Histories that are written down: what went wrong once, or must not.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod providers;
mod store;
mod streams;

use std::time::Duration;

use spillway_sim::history::{Ending, History, Outcome};
use spillway_sim::plan::{
    Api, Behaviour, BodyPlan, Fault, Leave, Oddity, Outage, Persona, Place, Plan, RequestPlan,
    StorePlan, Strike, When,
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
            calls_at_once: 100,
            tokens: None,
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

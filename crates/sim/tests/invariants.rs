//! Each invariant can fail: a history in which all went well is changed in one place, and one of them says so.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test"
)]

use std::time::Duration;

use spillway_platform_sim::{SimAnswer, StoreOperation};
use spillway_sim::history::{Ending, History};
use spillway_sim::plan::{Api, Behaviour, BodyPlan, Kind, Persona, Plan, StorePlan};
use spillway_sim::{plan, run, violations};

/// A history in which everybody is served: calls, runs and retrievals, of all of whom nothing goes wrong.
fn well() -> History {
    // Enough of each, whatever a seed draws.
    let has_enough = |drawn: &Plan| drawn.requests.len() >= 20 && drawn.settings.instances > 1;
    let mut drawn = (1..).map(plan).find(has_enough).unwrap();
    drawn.faults.clear();
    drawn.outages.clear();
    drawn.store = StorePlan::default();
    drawn.settings.probes = Behaviour::Well;
    drawn.settings.calls_a_minute = 1_000;
    drawn.settings.calls_a_second = None;
    drawn.settings.calls_at_once = 1_000;
    drawn.settings.tokens = None;
    drawn.settings.requests_a_minute = 1_000;
    drawn.settings.at_once = 1_000;
    drawn.settings.dry_run = false;
    drawn.settings.denies = true;
    let apis = [Api::Chat, Api::ChatStream, Api::Run, Api::RunStream];
    for (index, request) in drawn.requests.iter_mut().enumerate() {
        request.api = apis[index % apis.len()];
        request.caller = Persona::Ada;
        request.behaviours.clear();
        request.leaves = None;
        request.pause = Duration::ZERO;
        request.body = BodyPlan::Whole;
        // Apart from each other.
        request.at = Duration::from_secs(u64::from(request.number) * 2);
    }
    let history = run(&drawn);
    assert_eq!(violations(&history), []);
    history
}

fn of(history: &History, api: Api) -> u32 {
    let mut requests = history.plan.requests.iter().rev();
    requests.find(|one| one.api == api).unwrap().number
}

/// Whether the change is found, by this invariant.
fn finds(invariant: &str, change: impl FnOnce(&mut History)) {
    let mut history = well();
    change(&mut history);
    let found = violations(&history);
    assert!(
        found.iter().any(|one| one.invariant == invariant),
        "{invariant}: {found:#?}"
    );
}

/// Changes what the client of the last request of this kind got.
fn with_answer(history: &mut History, api: Api, change: impl FnOnce(&mut SimAnswer)) {
    let number = of(history, api);
    let outcome = history.outcomes.iter_mut().find(|one| one.number == number);
    if let Ending::Answered(answer) = &mut outcome.unwrap().ending {
        change(answer);
    }
}

#[test]
fn what_no_runtime_would_do() {
    finds(
        "nothing happens that no runtime would do, and nothing panics",
        |history| {
            history.faults.push("one request woke another's".to_owned());
        },
    );
}

#[test]
fn no_answer_or_two() {
    let invariant = "every request gets exactly one answer";
    finds(invariant, |history| {
        history.outcomes.pop();
    });
    finds(invariant, |history| {
        let again = history.outcomes[0].clone();
        history.outcomes.push(again);
    });
}

#[test]
fn whoever_could_be_served_is_not() {
    finds("whoever can be served is, and nobody else", |history| {
        with_answer(history, Api::Chat, |answer| answer.status = 503);
    });
}

#[test]
fn no_record_or_another() {
    let invariant = "every request is exactly one record";
    finds(invariant, |history| {
        history.records.pop();
    });
    finds(invariant, |history| {
        history.records[0]["status"] = 418.into()
    });
}

#[test]
fn a_stream_that_ends_clean_without_its_end() {
    finds(
        "a stream that is cut never looks whole, and what looks whole is",
        |history| {
            with_answer(history, Api::ChatStream, |answer| {
                let text = answer.text().replace("data: [DONE]\n\n", "");
                answer.body = text.into();
            });
        },
    );
}

#[test]
fn one_too_many_is_let_pass() {
    finds("no window has more than its limit", |history| {
        for event in &mut history.store {
            if let StoreOperation::Admit { charges, .. } = &mut event.operation {
                charges.iter_mut().for_each(|charge| charge.limit = 1);
            }
        }
    });
}

#[test]
fn a_refusal_before_the_limit() {
    finds("nobody is refused who has not used up a limit", |history| {
        let number = of(history, Api::Chat);
        with_answer(history, Api::Chat, |answer| answer.status = 429);
        let name = format!("sim-{number}");
        let mut records = history.records.iter_mut();
        records.find(|one| one["request"] == name.as_str()).unwrap()["reason"] =
            "rate_limited".into();
    });
}

#[test]
fn a_place_that_nobody_has() {
    finds("nobody is refused for what is not under way", |history| {
        let number = of(history, Api::Run);
        with_answer(history, Api::Run, |answer| {
            answer.status = 429;
            answer.body = "Too many requests at once".into();
        });
        let name = format!("sim-{number}");
        let mut records = history.records.iter_mut();
        records.find(|one| one["request"] == name.as_str()).unwrap()["reason"] =
            "rate_limited".into();
    });
}

#[test]
fn a_store_that_is_not_asked() {
    finds("once the store is well again it is asked", |history| {
        history.store.clear();
    });
}

#[test]
fn a_signature_that_serves_twice() {
    finds("what is signed once is let through once", |history| {
        let signed = history
            .plan
            .requests
            .iter_mut()
            .filter(|one| one.api.kind() == Kind::Model);
        for request in signed {
            request.caller = Persona::Signer;
            request.nonce = 0;
        }
    });
}

#[test]
fn a_place_that_is_not_given_back() {
    finds("whatever is held is given back", |history| {
        history.leases.push(("app".to_owned(), 1));
    });
}

#[test]
fn a_call_that_is_sent_too_often() {
    finds(
        "nobody is asked more often than the budget has it",
        |history| {
            let again = history.asked[0].clone();
            history.asked.extend(vec![again; 20]);
        },
    );
}

#[test]
fn a_secret_or_anothers_words() {
    let invariant = "no secret gets out, and nobody reads another's";
    finds(invariant, |history| {
        with_answer(history, Api::Chat, |answer| {
            answer.body = "not with sk-secret-first-0".into()
        });
    });
    finds(invariant, |history| {
        history
            .log
            .push((history.outcomes[0].sent, "key sk-caller-ada".to_owned()));
    });
    finds(invariant, |history| {
        with_answer(history, Api::Chat, |answer| {
            answer.body = "mark-99999-".into()
        });
    });
}

#[test]
fn a_wait_that_is_too_long() {
    finds("nobody waits past the deadline", |history| {
        let outcome = history.outcomes.first_mut().unwrap();
        outcome.ended.time += Duration::from_secs(1);
    });
}

#[test]
fn something_is_ejected_that_did_well() {
    finds(
        "what one client causes ejects nothing for others",
        |history| {
            let mut event = history.store[0].clone();
            event.operation = StoreOperation::PoolWrite {
                provider: "first".to_owned(),
                name: "key 1".to_owned(),
                to: Some(("out".to_owned(), 1_000)),
            };
            history.store.push(event);
        },
    );
}

#[test]
fn what_another_instance_found_is_not_acted_on() {
    finds("what one instance has found out others act on", |history| {
        history.plan.settings.keys = 2;
        history.plan.settings.endpoints = 2;
        let mut event = history.store[0].clone();
        event.operation = StoreOperation::PoolWrite {
            provider: "first".to_owned(),
            name: "endpoint http://first0:1/v1".to_owned(),
            to: Some(("open".to_owned(), 3_600_000)),
        };
        history.store.push(event);
    });
}

#[test]
fn an_attempt_that_no_record_has() {
    finds(
        "a call's record has every attempt that was sent",
        |history| {
            let number = of(history, Api::Chat);
            let asked = history.attempts(number).next().unwrap().clone();
            history.asked.push(asked);
        },
    );
}

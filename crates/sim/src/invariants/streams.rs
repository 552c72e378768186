//! What looks whole to a client is what the upstream has said, whole; what was cut looks cut, or says so.

use spillway_platform_sim::SimAnswer;

use crate::api::{expected, read};
use crate::history::{Ending, History};
use crate::plan::{Api, Behaviour, RequestPlan};

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for outcome in &history.outcomes {
        let Ending::Answered(answer) = &outcome.ending else {
            continue;
        };
        let plan = history
            .plan
            .requests
            .iter()
            .find(|one| one.number == outcome.number);
        let Some(plan) = plan.filter(|_| answer.status == 200) else {
            continue;
        };
        let words = match plan.api {
            Api::File | Api::Run | Api::RunStream | Api::Page | Api::Upload => {
                passed_on(history, plan, answer)
            }
            _ => written(history, plan, answer),
        };
        wrong.extend(words.map(|words| format!("request {}: {words}", outcome.number)));
    }
    wrong
}

/// Of an answer that the gateway writes.
fn written(history: &History, plan: &RequestPlan, answer: &SimAnswer) -> Option<String> {
    let reading = read(plan.api, answer);
    if !answer.is_complete {
        return (!history.plan.has_deaths()).then(|| "its answer was cut".to_owned());
    }
    if reading.has_error {
        return None;
    }
    if !reading.has_end {
        return Some("its answer has no end, and ended cleanly".to_owned());
    }
    let is_garbled =
        |asked: &crate::history::Asked| matches!(asked.behaviour, Behaviour::GarbleAt(_));
    let wanted = expected(plan.api, plan.number);
    let is_right = reading.content == wanted || history.attempts(plan.number).any(is_garbled);
    (!is_right).then(|| {
        format!(
            "it should have been told {wanted:?} and was told {:?}",
            reading.content
        )
    })
}

/// Of one that is passed on.
fn passed_on(history: &History, plan: &RequestPlan, answer: &SimAnswer) -> Option<String> {
    let Some(last) = history.attempts(plan.number).last() else {
        return Some("it has an answer, and nobody was asked".to_owned());
    };
    let is_broken = !last.is_clean;
    if !answer.is_complete {
        return (!is_broken && !history.plan.has_deaths())
            .then(|| "its answer was cut, its upstream's was not".to_owned());
    }
    if answer.body == last.body && !is_broken {
        return None;
    }
    if read(plan.api, answer).has_error {
        return None;
    }
    Some("it looks whole, and is not what the upstream has said".to_owned())
}

//! What looks whole to a client is what the upstream has said, whole; what was cut looks cut, or says so.

use spillway_platform_sim::SimAnswer;

use crate::api::{expected, read};
use crate::history::{Ending, History};
use crate::plan::{Api, Behaviour, RequestPlan};

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for outcome in &history.outcomes {
        let Some(answer) = outcome.answer() else {
            continue;
        };
        let is_read_on = matches!(outcome.ending, Ending::Answered(_));
        let plan = history.request(outcome.number);
        let Some(plan) = plan.filter(|_| answer.status == 200) else {
            continue;
        };
        let words = match plan.api {
            _ if !is_read_on => begins_as_it_should(history, plan, answer),
            Api::File | Api::Response | Api::Run | Api::RunStream | Api::Page | Api::Upload => {
                passed_on(history, plan, answer)
            }
            _ => written(history, plan, answer)
                .or_else(|| begins_as_it_should(history, plan, answer)),
        };
        wrong.extend(words.map(|words| format!("request {}: {words}", outcome.number)));
    }
    wrong
}

/// However a stream ends, it holds nothing that was not said, and nothing twice.
fn begins_as_it_should(
    history: &History,
    plan: &RequestPlan,
    answer: &SimAnswer,
) -> Option<String> {
    if !matches!(plan.api, Api::ChatStream | Api::RunStream) || is_garbled(history, plan) {
        return None;
    }
    let (told, wanted) = (
        read(plan.api, answer).content,
        expected(plan.api, plan.number),
    );
    (!wanted.starts_with(&told)).then(|| format!("it was told {told:?}, of {wanted:?}"))
}

/// Whether something that does not belong there stood in its midst; of what is passed on, at its end as well.
fn is_garbled(history: &History, plan: &RequestPlan) -> bool {
    let is_passed_on = plan.api == Api::RunStream;
    let mut attempts = history.attempts(plan.number);
    attempts.any(|asked| match asked.behaviour {
        Behaviour::GarbleAt(_) => true,
        Behaviour::MoreAfterTerminator => is_passed_on,
        _ => false,
    })
}

/// Of an answer that the gateway writes.
fn written(history: &History, plan: &RequestPlan, answer: &SimAnswer) -> Option<String> {
    let reading = read(plan.api, answer);
    if !answer.is_complete {
        return (!history.has_deaths()).then(|| "its answer was cut".to_owned());
    }
    if reading.has_error {
        return None;
    }
    if !reading.has_end {
        return Some("its answer has no end, and ended cleanly".to_owned());
    }
    let wanted = expected(plan.api, plan.number);
    let is_right = reading.content == wanted || is_garbled(history, plan);
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
        return (!is_broken && !history.has_deaths())
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

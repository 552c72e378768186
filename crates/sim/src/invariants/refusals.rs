//! Nobody is refused for a window who has not used it up: what was taken back counts no more.

use std::time::Duration;

use super::limits::is_401;
use crate::api::subject;
use crate::history::{Ending, History, Outcome};
use crate::plan::{Api, BodyPlan, Fault, Kind, RequestPlan, Strike};

/// A window, and what the sub-window in which it begins adds to it.
const WINDOW: Duration = Duration::from_secs(71);

/// The same of a second, and what a body may take.
const SECOND: Duration = Duration::from_millis(4_500);

/// After so long what is to be taken back is.
const TAKEN_BACK: Duration = Duration::from_secs(1);

pub(super) fn check(history: &History) -> Vec<String> {
    let plan = &history.plan;
    let is_step = |fault: &Fault| matches!(fault.what, Strike::StoreClockStep(_));
    let is_unsure = plan.has_store_faults()
        || plan.store.resets > 0
        || history.has_deaths()
        || plan.faults.iter().any(is_step);
    if is_unsure {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for outcome in &history.outcomes {
        let request = history.request(outcome.number);
        let (Some(request), Ending::Answered(answer)) = (request, &outcome.ending) else {
            continue;
        };
        if is_refused_by_a_limit(history, request.number) && !answer.text().contains("at once") {
            if answer.text().contains("Too many tokens") {
                wrong.extend(for_tokens(history, request, outcome));
                continue;
            }
            if is_for_a_second(history, request, outcome) {
                continue;
            }
            let (limit, counted) = counted(history, request, outcome);
            if counted < usize::try_from(limit).unwrap_or(usize::MAX) {
                wrong.push(format!(
                    "request {} was refused, and no more than {counted} before it count, where {limit} may be",
                    request.number
                ));
            }
        }
    }
    wrong
}

/// What no other call has used, or may use, none is refused: a call reserves no more than the limit.
fn for_tokens(history: &History, request: &RequestPlan, outcome: &Outcome) -> Option<String> {
    // What a client does not read to its end is used up to then, and settled when that is noticed.
    let from = outcome.sent.time.saturating_sub(WINDOW);
    let mut others = history.outcomes.iter().filter(|other| {
        let plan = history.request(other.number);
        let is_alike = plan.is_some_and(|plan| plan.api.kind() == request.api.kind());
        let is_over = !matches!(other.ending, Ending::Left(_)) && other.ended.time < from;
        other.number != request.number && is_alike && !is_over
    });
    let is_first = others.all(|other| other.sent.time > outcome.ended.time);
    is_first.then(|| {
        format!(
            "request {} was refused for tokens, and no other was there to use any",
            request.number
        )
    })
}

/// By its record.
pub(super) fn is_refused_by_a_limit(history: &History, number: u32) -> bool {
    let mut records = history.records(number);
    records.any(|record| {
        let reason = record.get("reason");
        reason.is_some_and(|reason| reason == "rate_limited")
    })
}

/// Whether its consumer had used up a second, which with the sub-window in which it begins is 1.2 s.
fn is_for_a_second(history: &History, request: &RequestPlan, outcome: &Outcome) -> bool {
    let Some(limit) = history.plan.settings.calls_a_second else {
        return false;
    };
    let from = outcome.sent.time.saturating_sub(SECOND);
    let counted = history.outcomes.iter().filter(|other| {
        let plan = history.request(other.number);
        let is_its = |plan: &RequestPlan| {
            plan.number != request.number
                && plan.caller == request.caller
                && plan.api.kind() == Kind::Model
        };
        (from..=outcome.ended.time).contains(&other.sent.time) && plan.is_some_and(is_its)
    });
    request.api.kind() == Kind::Model
        && counted.count() >= usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The limit, and the largest number that any of its rules may have counted.
fn counted(history: &History, request: &RequestPlan, outcome: &Outcome) -> (u32, usize) {
    let settings = &history.plan.settings;
    let kind = request.api.kind();
    let from = outcome.sent.time.saturating_sub(WINDOW);
    let before: Vec<&RequestPlan> = history
        .outcomes
        .iter()
        .filter(|other| (from..=outcome.ended.time).contains(&other.sent.time))
        .filter(|other| other.number != request.number)
        .filter_map(|other| {
            let plan = history.request(other.number)?;
            let is_run = matches!(plan.api, Api::Run | Api::RunStream);
            let is_unknown = is_run && history.attempts(plan.number).any(is_401);
            let is_taken_back = (is_unknown || is_refused_by_a_limit(history, plan.number))
                && other.ended.time.saturating_add(TAKEN_BACK) < outcome.sent.time;
            (plan.api.kind() == kind && !is_taken_back).then_some(plan)
        })
        .collect();
    let same_subject = before
        .iter()
        .filter(|other| subject(other.subject) == subject(request.subject));
    let by_subject = same_subject.count();
    if kind == Kind::Agent {
        // Of those whose bodies cannot be read nobody knows the end user: they are counted as one.
        let is_garbled = |one: &RequestPlan| one.body == BodyPlan::Garbled;
        let nobodys = before
            .iter()
            .filter(|other| is_garbled(other) && is_garbled(request));
        return (settings.requests_a_minute, by_subject.max(nobodys.count()));
    }
    let same_caller = before.iter().filter(|other| other.caller == request.caller);
    (settings.calls_a_minute, same_caller.count().max(by_subject))
}

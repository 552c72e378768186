//! What one client causes ejects nothing for others.

use spillway_platform_sim::StoreOperation;

use crate::history::{Ending, History};
use crate::plan::{Behaviour, BodyPlan, Kind, Persona, RequestPlan};
use crate::upstream::PeerKind;

/// States in which an endpoint or a credential is used less, or not at all.
pub(super) const SETBACKS: [&str; 4] = ["open", "out", "cooling", "suspect"];

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = without_a_failure(history);
    if let Some(culprit) = only_culprit(history) {
        wrong.extend(others_are_served(history, culprit));
    }
    wrong
}

/// Where a provider has always done well, nothing of it is ejected, whatever clients did.
fn without_a_failure(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for event in &history.store {
        let StoreOperation::PoolWrite {
            provider,
            to: Some((state, _)),
            ..
        } = &event.operation
        else {
            continue;
        };
        let asked = history.asked.iter();
        let mut of_it =
            asked.filter(|asked| asked.request.authority.starts_with(provider.as_str()));
        let is_setback = SETBACKS.contains(&state.as_str());
        if is_setback && of_it.all(|asked| asked.behaviour == Behaviour::Well) {
            wrong.push(format!(
                "something of `{provider}`, which always did well, was ejected as {state}"
            ));
        }
    }
    wrong
}

/// The one consumer at whose calls providers failed, and by nothing but what a client can cause, while nothing else went
/// wrong.
fn only_culprit(history: &History) -> Option<Persona> {
    let plan = &history.plan;
    if plan.settings.probes != Behaviour::Well
        || !plan.outages.is_empty()
        || plan.has_store_faults()
        || !plan.faults.is_empty()
    {
        return None;
    }
    let is_troubled = |request: &&RequestPlan| {
        let planned = request.behaviours.iter();
        request.api.kind() == Kind::Model && planned.clone().any(|one| *one != Behaviour::Well)
    };
    let mut troubled = plan.requests.iter().filter(is_troubled);
    let culprit = troubled.next()?.caller;
    let is_caused = |one: &Behaviour| !matches!(one, Behaviour::Refused | Behaviour::NoConnection);
    let are_all_its = troubled.all(|request| request.caller == culprit);
    let are_all_caused = plan
        .requests
        .iter()
        .flat_map(|request| &request.behaviours)
        .all(is_caused);
    (are_all_its && are_all_caused).then_some(culprit)
}

fn others_are_served(history: &History, culprit: Persona) -> Vec<String> {
    let mut wrong = Vec::new();
    for outcome in &history.outcomes {
        let plan = history.request(outcome.number);
        let is_other = |plan: &&RequestPlan| {
            plan.caller != culprit && plan.body == BodyPlan::Whole && plan.api.kind() == Kind::Model
        };
        let (Some(plan), Ending::Answered(answer)) = (plan.filter(is_other), &outcome.ending)
        else {
            continue;
        };
        let mut attempts = history.attempts(plan.number);
        let (Some(first), second) = (attempts.next(), attempts.next()) else {
            continue;
        };
        let is_first =
            first.service == PeerKind::OpenAi && first.request.authority.starts_with("first");
        if answer.status != 200 || second.is_some() || !is_first {
            wrong.push(format!(
                "request {} got {} by way of {}, though only {culprit:?}'s calls failed",
                plan.number, answer.status, first.request.authority
            ));
        }
    }
    wrong
}

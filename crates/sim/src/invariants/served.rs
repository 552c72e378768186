//! Whoever can be served is, and whoever may not be is not.

use crate::history::{Ending, History};
use crate::plan::{Api, Behaviour, BodyPlan, Kind, Persona, RequestPlan, Strike};

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_broken = |struck: &crate::history::Struck| struck.what == Strike::BrokenConfiguration;
    if history.strikes.iter().any(is_broken) {
        return wrong;
    }
    for outcome in &history.outcomes {
        let plan = history.request(outcome.number);
        let (Some(plan), Ending::Answered(answer)) = (plan, &outcome.ending) else {
            continue;
        };
        let asked = history.attempts(plan.number).count();
        if has_unknown_caller(plan) && (!matches!(answer.status, 401 | 403) || asked > 0) {
            wrong.push(format!(
                "request {} of nobody that is known got {}, and was sent {asked} times",
                plan.number, answer.status
            ));
        }
        if can_be_served(history, plan) {
            let is_limited = answer.status == 429 && may_be_limited(history, plan);
            if answer.status != 200 && !is_limited {
                wrong.push(format!(
                    "request {} got {}, and nothing stood in its way",
                    plan.number, answer.status
                ));
            }
        }
    }
    wrong
}

/// Of the APIs that ask who calls. A body that breaks off, or a page of the gateway's own, is another matter.
fn has_unknown_caller(plan: &RequestPlan) -> bool {
    let asks = matches!(plan.api.kind(), Kind::Model | Kind::Knowledge);
    asks && plan.api != Api::Nowhere
        && plan.caller == Persona::Nobody
        && plan.body == BodyPlan::Whole
}

/// Nothing fails, or once where there is somebody else to go to.
fn can_be_served(history: &History, plan: &RequestPlan) -> bool {
    let all = &history.plan;
    let is_calm = all.faults.is_empty() && all.outages.is_empty() && !all.has_store_faults();
    let is_well =
        |request: &RequestPlan| request.behaviours.iter().all(|one| *one == Behaviour::Well);
    let all_well = all.requests.iter().all(is_well);
    let is_known = plan.caller != Persona::Nobody || plan.api.kind() == Kind::Agent;
    is_calm
        && is_known
        && !repeats(history, plan)
        && plan.body == BodyPlan::Whole
        && !matches!(plan.api, Api::Nowhere)
        && (all_well || fails_once(history, plan))
}

/// Whether somebody else signs with the same nonce: one of them is a repetition.
fn repeats(history: &History, plan: &RequestPlan) -> bool {
    let mut others = history.plan.requests.iter();
    plan.caller == Persona::Signer
        && others.any(|other| {
            other.number != plan.number
                && other.nonce == plan.nonce
                && other.caller == Persona::Signer
        })
}

/// Calls that fail once each, so few that no endpoint is ejected, with another target that does well.
fn fails_once(history: &History, plan: &RequestPlan) -> bool {
    let all = &history.plan;
    let is_one = |request: &RequestPlan| {
        let is_passing = matches!(
            request.behaviours.as_slice(),
            [Behaviour::Reset
                | Behaviour::Status(500 | 503, None)
                | Behaviour::WebPage
                | Behaviour::Empty
                | Behaviour::CutAt(0)]
        );
        is_passing && matches!(request.api, Api::Chat | Api::ChatStream)
    };
    all.settings.has_second
        && all.settings.max_attempts != 1
        && all.settings.breaker_failures.is_none()
        && all.requests.len() <= 4
        && all.requests.iter().all(is_one)
        && is_one(plan)
}

fn may_be_limited(history: &History, plan: &RequestPlan) -> bool {
    let settings = &history.plan.settings;
    // How many tokens a call reserves the gateway alone knows.
    if settings.tokens.is_some() && plan.api.kind() != Kind::Knowledge {
        return true;
    }
    if settings.dry_run && plan.api.kind() == Kind::Agent {
        return false;
    }
    let limit = match plan.api.kind() {
        Kind::Agent => settings.requests_a_minute.min(settings.at_once),
        _ => {
            let a_second = settings.calls_a_second.unwrap_or(u32::MAX);
            let at_once = settings.calls_at_once;
            settings.calls_a_minute.min(a_second).min(at_once)
        }
    };
    let of_kind = history.plan.requests.iter();
    let count = of_kind
        .filter(|one| one.api.kind() == plan.api.kind())
        .count();
    // What is sent again because a connection broke may be counted twice.
    let times = if history.plan.store.resets > 0 { 2 } else { 1 };
    count.saturating_mul(times) > usize::try_from(limit).unwrap_or(usize::MAX)
}

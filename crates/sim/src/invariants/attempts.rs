//! Nobody is asked more often than the configuration and the retry budget have it.

use crate::history::{Asked, History};
use crate::plan::{Api, Behaviour, Kind, Oddity, RequestPlan};

/// What the retry budget of an instance gives in advance, and a fifth of its calls (docs/failover.md).
const IN_ADVANCE: usize = 128;

/// Once more where Dify cannot have done it: nobody was reached, or it is no more than asked for and its connection broke.
fn again_to_dify(history: &History, request: &RequestPlan) -> usize {
    let first = history.attempts(request.number).next();
    let may = first.is_some_and(|first| match first.behaviour {
        Behaviour::Refused | Behaviour::NoConnection => true,
        Behaviour::Reset => request.api == Api::Page,
        _ => false,
    });
    usize::from(may)
}

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let settings = &history.plan.settings;
    let (mut calls, mut sent) = (0_usize, 0_usize);
    for request in &history.plan.requests {
        // What was refused for what the gateway had added is no attempt of the client's.
        let is_own = |one: &&Asked| one.behaviour != Behaviour::Odd(Oddity::RefusesStreamOptions);
        let asked = history.attempts(request.number).filter(is_own).count();
        let max = match request.api {
            Api::Models | Api::Nowhere | Api::Ready | Api::Metrics | Api::Limits => 0,
            api if api.kind() == Kind::Agent => {
                1_usize.saturating_add(again_to_dify(history, request))
            }
            api if api.kind() == Kind::Knowledge => 1,
            _ if settings.max_attempts > 0 => {
                usize::try_from(settings.max_attempts).unwrap_or(usize::MAX)
            }
            // All keys at all endpoints, the other target, and all of it once more.
            _ => {
                let first = settings.keys.saturating_mul(settings.endpoints);
                first.saturating_add(1).saturating_mul(2).saturating_add(2)
            }
        };
        if asked > max {
            let number = request.number;
            wrong.push(format!(
                "request {number} was sent {asked} times, where {max} are allowed"
            ));
        }
        if request.api.kind() == Kind::Model && asked > 0 {
            calls = calls.saturating_add(1);
            sent = sent.saturating_add(asked);
        }
    }
    let instances = settings
        .instances
        .saturating_add(history.strikes.len().saturating_mul(9));
    let budget = calls
        .saturating_add(calls.div_ceil(5))
        .saturating_add(IN_ADVANCE.saturating_mul(instances));
    if sent > budget {
        wrong.push(format!(
            "{calls} calls were sent {sent} times, where the budget has {budget}"
        ));
    }
    wrong
}

//! Nobody is refused for what is under way where so much is not: what the store has taken without anybody's knowing is given
//! back.

use std::time::Duration;

use super::limits::{holder, max_at_once};
use super::refusals::is_refused_by_a_limit;
use super::store_used::quiet_from;
use crate::history::{Ending, History, Outcome};
use crate::plan::{Kind, RequestPlan, Strike};

/// Within this a place is given back that has been taken, however that came to be known.
const GIVEN_BACK: Duration = Duration::from_secs(4);

/// A client that leaves is noticed with the next piece for it, or when there is none for as long as `idle` says.
const NOTICED: Duration = Duration::from_secs(30);

/// After so long what failed while the store was away has been tried again.
const TRIED_AGAIN: Duration = Duration::from_secs(5);

/// After so long a place is free in any case.
const LEASE: Duration = Duration::from_secs(31);

pub(super) fn check(history: &History) -> Vec<String> {
    // Who dies gives nothing back, until its lease ends.
    if history.plan.store.is_faulty() || history.has_lost_instances() {
        return Vec::new();
    }
    let quiet = quiet_from(history);
    let mut wrong = Vec::new();
    for outcome in &history.outcomes {
        let Ending::Answered(answer) = &outcome.ending else {
            continue;
        };
        let is_refused = outcome.sent.time >= quiet.saturating_add(TRIED_AGAIN)
            && !was_given_up(history, outcome)
            && is_refused_by_a_limit(history, outcome.number)
            && answer.text().contains("at once");
        if is_refused {
            let Some(request) = history.request(outcome.number) else {
                continue;
            };
            let under_way = under_way(history, request, outcome);
            let limit = max_at_once(history, request.api.kind());
            if under_way < limit {
                wrong.push(format!(
                    "request {} was refused, and {under_way} were under way, where {limit} may be",
                    outcome.number
                ));
            }
        }
    }
    wrong
}

/// Whether a request was given up so lately that its place may wait for its instance's next one.
fn was_given_up(history: &History, refused: &Outcome) -> bool {
    history.strikes.iter().any(|struck| {
        let until = struck.at.time.saturating_add(LEASE);
        let is_then = (struck.at.time..=until).contains(&refused.sent.time);
        is_then && matches!(struck.what, Strike::Cancel(_))
    })
}

/// How many of its app or its consumer may have had a place when it came, or while it was looked at.
fn under_way(history: &History, request: &RequestPlan, refused: &Outcome) -> usize {
    let is_its = |plan: &RequestPlan| {
        plan.api.kind() == request.api.kind() && holder(plan) == holder(request)
    };
    let of_it = history.outcomes.iter().filter(|other| {
        other.number != refused.number && history.request(other.number).is_some_and(is_its)
    });
    let from = refused.sent.time.saturating_sub(GIVEN_BACK);
    // A call that is answered in one piece does not notice before it has its answer.
    let noticed = match request.api.kind() {
        Kind::Model => history.plan.settings.deadline.saturating_add(NOTICED),
        _ => NOTICED,
    };
    let is_under_way = |other: &&Outcome| {
        let is_noticed = match other.ending {
            Ending::Left(_) => other.ended.time.saturating_add(noticed),
            _ => other.ended.time,
        };
        other.sent.time <= refused.ended.time && is_noticed >= from
    };
    of_it.filter(is_under_way).count()
}

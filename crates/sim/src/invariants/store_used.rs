//! Once the store is well again it is asked: no instance goes on without it, whatever became of its connections.

use std::time::Duration;

use spillway_platform_sim::{SimMoment, StoreOperation};

use crate::history::{History, Outcome};
use crate::plan::{Api, BodyPlan, Persona, RequestPlan, Strike};

/// After so long everybody has let go what came of a fault: a connection that fell silent, and a breaker's pause.
const QUIET: Duration = Duration::from_secs(5);

/// For so long an instance leaves the store alone that failed it, but for one request.
const PAUSE: Duration = Duration::from_millis(600);

pub(super) fn check(history: &History) -> Vec<String> {
    if history.plan.store.is_faulty() {
        return Vec::new();
    }
    let quiet = quiet_from(history);
    let mut wrong = Vec::new();
    for (plan, outcome) in limited(history) {
        let passed = history.attempts(plan.number).next();
        let was_decided = passed.map_or(outcome.ended, |passed| passed.at);
        if (passed.is_some() || is_refused_without_it(outcome))
            && outcome.sent.time >= quiet
            && has_asked_before(history, plan, outcome, quiet)
            && !is_asked(history, outcome.sent, was_decided)
        {
            wrong.push(format!(
                "request {} was let pass or refused, and the store was not asked, which is well since {quiet:?}",
                plan.number
            ));
        }
    }
    wrong
}

/// From when on nothing happens to the store, nor to requests that might be opening a connection.
pub(super) fn quiet_from(history: &History) -> Duration {
    let strikes = history.strikes.iter().map(|struck| {
        let lasts = match struck.what {
            Strike::StoreDown(time) | Strike::StoreSilent(time) | Strike::StoreLate(time) => time,
            _ => Duration::ZERO,
        };
        struck.at.time.saturating_add(lasts)
    });
    strikes
        .max()
        .map_or(Duration::ZERO, |last| last.saturating_add(QUIET))
}

/// Requests that limits are asked about.
fn limited(history: &History) -> impl Iterator<Item = (&RequestPlan, &Outcome)> {
    history.outcomes.iter().filter_map(|outcome| {
        let plan = history.request(outcome.number)?;
        let is_limited = matches!(
            plan.api,
            Api::Chat | Api::ChatStream | Api::Run | Api::RunStream
        );
        let is_it = is_limited && plan.body == BodyPlan::Whole && plan.caller != Persona::Nobody;
        is_it.then_some((plan, outcome))
    })
}

/// Whether its instance has had another one before by which it could see how the store is.
fn has_asked_before(
    history: &History,
    plan: &RequestPlan,
    outcome: &Outcome,
    quiet: Duration,
) -> bool {
    let place = |number: u32| {
        let number = usize::try_from(number).unwrap_or_default();
        number.checked_rem(history.plan.settings.instances)
    };
    limited(history).any(|(earlier, its)| {
        earlier.api.kind() == plan.api.kind()
            && place(earlier.number) == place(plan.number)
            && earlier.leaves.is_none()
            && its.sent.time >= quiet
            && its.ended.time.saturating_add(PAUSE) <= outcome.sent.time
    })
}

fn is_refused_without_it(outcome: &Outcome) -> bool {
    outcome
        .answer()
        .is_some_and(|answer| answer.status == 503 && answer.text().contains("state_unavailable"))
}

fn is_asked(history: &History, from: SimMoment, until: SimMoment) -> bool {
    history.store.iter().any(|event| {
        matches!(event.operation, StoreOperation::Admit { .. })
            && (from..=until).contains(&event.at)
    })
}

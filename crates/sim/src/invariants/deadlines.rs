//! Nobody waits past the deadline by more than a tick, nor for nothing.

use std::time::Duration;

use crate::history::{History, Outcome};
use crate::plan::{Api, Behaviour, BodyPlan, Kind, RequestPlan};
use crate::settings::{KNOWLEDGE_DEADLINE, STORE_TIMEOUT};

/// A tick.
const TICK: Duration = Duration::from_millis(50);

/// What is asked of the gateway itself waits for the store alone: whether it answers, the totals, or two
/// seconds each for the index of limits and for where these stand.
const CONSOLE: Duration = Duration::from_secs(4);

/// `timeout` of a target that says nothing.
const MAX_SILENCE: Duration = Duration::from_secs(300);

/// An upstream's answer has no more pieces.
const MAX_PIECES: u32 = 25;

/// Of an agent API: from the request's arrival to its answer's end.
const CEILING: Duration = Duration::from_secs(120);

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for outcome in &history.outcomes {
        let plan = history.request(outcome.number);
        let Some(plan) = plan else { continue };
        if goes_well(history, plan) {
            let waited = outcome.took();
            let may = store_latency(history).saturating_add(body_of(plan));
            if waited > may.saturating_add(TICK) {
                wrong.push(format!(
                    "request {} took {waited:?}, though nothing took longer than {may:?}",
                    outcome.number
                ));
            }
        }
        if plan.api == Api::ChatStream {
            let waited = outcome.took();
            let may = max_stream_time(history, plan);
            if waited > may {
                wrong.push(format!(
                    "the stream of request {} took {waited:?}, where {may:?} are allowed",
                    outcome.number
                ));
            }
        }
        let (waited, may) = times(history, plan, outcome);
        if waited > may.saturating_add(TICK) {
            wrong.push(format!(
                "request {} waited {waited:?}, where {may:?} are allowed",
                outcome.number
            ));
        }
    }
    wrong
}

/// To its first content a stream has the deadline, then its pieces may come as slowly as they do, and be silent once for
/// as long as a target may.
fn max_stream_time(history: &History, plan: &RequestPlan) -> Duration {
    let settings = &history.plan.settings;
    let pauses = plan.behaviours.iter().map(|one| match one {
        Behaviour::Pieces(_, pause) => pause.saturating_mul(MAX_PIECES),
        _ => Duration::ZERO,
    });
    let silence = settings.timeout.unwrap_or(MAX_SILENCE);
    settings
        .deadline
        .saturating_add(pauses.max().unwrap_or_default())
        .saturating_add(silence)
        .saturating_add(body_of(plan))
        .saturating_add(STORE_TIMEOUT)
}

/// Whether everybody does what they should, as soon as they can.
fn goes_well(history: &History, plan: &RequestPlan) -> bool {
    let behaviours = history.plan.requests.iter().flat_map(|one| &one.behaviours);
    !history.plan.has_store_faults()
        && history.plan.faults.is_empty()
        && history.plan.outages.is_empty()
        && plan.leaves.is_none()
        && behaviours.clone().all(|one| *one == Behaviour::Well)
}

/// A nonce, two steps of limits and what is known of the providers.
fn store_latency(history: &History) -> Duration {
    let latency = Duration::from_micros(u64::from(history.plan.store.latency_us));
    latency.saturating_mul(2).saturating_mul(4)
}

const fn body_of(plan: &RequestPlan) -> Duration {
    match plan.body {
        BodyPlan::Slow(time) => time,
        _ => Duration::ZERO,
    }
}

/// How long a request waited for its head, or its end where that is bounded, and how long it may.
fn times(history: &History, plan: &RequestPlan, outcome: &Outcome) -> (Duration, Duration) {
    let head = outcome.head.unwrap_or(outcome.ended);
    let until_head = head.time.saturating_sub(outcome.sent.time);
    let until_end = outcome.took();
    let body = body_of(plan);
    match plan.api.kind() {
        Kind::Knowledge => (until_end, KNOWLEDGE_DEADLINE),
        Kind::Console => (until_end, CONSOLE),
        Kind::Agent => (until_end, CEILING.saturating_add(STORE_TIMEOUT)),
        Kind::Model if plan.api == Api::Models => (until_end, STORE_TIMEOUT),
        Kind::Model if matches!(plan.api, Api::ChatStream | Api::File | Api::Response) => {
            let may = history.plan.settings.deadline;
            (
                until_head,
                may.saturating_add(STORE_TIMEOUT).saturating_add(body),
            )
        }
        Kind::Model => {
            let may = history.plan.settings.deadline;
            (
                until_end,
                may.saturating_add(STORE_TIMEOUT).saturating_add(body),
            )
        }
    }
}

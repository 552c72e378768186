//! Every request is one record: one line of the log, with its answer's status, and one more in the count.

use std::time::Duration;

use serde_json::Value;

use crate::history::{Ending, History, Outcome};
use crate::plan::{Fault, Kind, Strike};

/// A line may wait for this long, and goes with the request that has begun its waiting.
const LINE_WAITS: Duration = Duration::from_millis(200);

/// Whether a request was given up before it had told of itself: it, or another of its instance for which its line waits.
fn was_given_up(history: &History, outcome: &Outcome) -> bool {
    let until = outcome.ended.time.saturating_add(LINE_WAITS);
    history.strikes.iter().any(|struck| {
        let is_then = (outcome.sent.time..=until).contains(&struck.at.time);
        is_then && matches!(struck.what, Strike::Cancel(_))
    })
}

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let may_lack = history.has_lost_instances();
    // Who was given up had its answer cut.
    let may_differ = history.has_deaths();
    for outcome in &history.outcomes {
        let of_it: Vec<&Value> = history.records(outcome.number).collect();
        match of_it.as_slice() {
            [record] => {
                if let Ending::Answered(answer) = &outcome.ending
                    && record["status"] != answer.status
                    && !may_differ
                {
                    let number = outcome.number;
                    wrong.push(format!(
                        "request {number} got {}, its record says {}",
                        answer.status, record["status"]
                    ));
                }
            }
            [] if may_lack || was_given_up(history, outcome) => {}
            several => wrong.push(format!(
                "request {} has {} records",
                outcome.number,
                several.len()
            )),
        }
    }
    let plan = &history.plan;
    // Who cannot read the configuration knows no store to count in.
    let is_broken = |fault: &Fault| fault.what == Strike::BrokenConfiguration;
    let all_can_count = !plan.faults.iter().any(is_broken) && plan.store.resets == 0;
    if !may_differ && !plan.has_store_faults() && all_can_count {
        let of_requests = |series: &str| series.starts_with("spillway_requests_total");
        let counts = history
            .totals
            .iter()
            .filter(|(series, _)| of_requests(series));
        let counted: u64 = counts.map(|(_, amount)| amount).sum();
        // What is asked of the gateway itself is not counted.
        let requests = plan.requests.iter();
        let due = requests
            .filter(|request| request.api.kind() != Kind::Console)
            .count();
        if usize::try_from(counted).ok() != Some(due) {
            wrong.push(format!("{counted} requests are counted, there were {due}"));
        }
    }
    wrong
}

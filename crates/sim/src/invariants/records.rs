//! Every request is one record: one line of the log, with its answer's status, and one more in the count.

use serde_json::Value;

use crate::api::request_name;
use crate::history::{Ending, History};

/// What a line says, where it is a request's record.
pub fn record_of(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    line.get("request").is_some().then_some(line)
}

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let records: Vec<Value> = history
        .log
        .iter()
        .filter_map(|(_, line)| record_of(line))
        .collect();
    let may_lack = history.plan.has_deaths();
    for outcome in &history.outcomes {
        let name = request_name(outcome.number);
        let of_it: Vec<&Value> = records
            .iter()
            .filter(|record| record["request"] == name)
            .collect();
        match of_it.as_slice() {
            [record] => {
                if let Ending::Answered(answer) = &outcome.ending
                    && record["status"] != answer.status
                    && !may_lack
                {
                    let number = outcome.number;
                    wrong.push(format!(
                        "request {number} got {}, its record says {}",
                        answer.status, record["status"]
                    ));
                }
            }
            [] if may_lack => {}
            several => wrong.push(format!(
                "request {} has {} records",
                outcome.number,
                several.len()
            )),
        }
    }
    let plan = &history.plan;
    if !may_lack && !plan.has_store_faults() && plan.store.twice == 0 {
        let of_requests = |series: &str| series.starts_with("spillway_requests_total");
        let counts = history
            .totals
            .iter()
            .filter(|(series, _)| of_requests(series));
        let counted: u64 = counts.map(|(_, amount)| amount).sum();
        if usize::try_from(counted).ok() != Some(plan.requests.len()) {
            wrong.push(format!(
                "{counted} requests are counted, there were {}",
                plan.requests.len()
            ));
        }
    }
    wrong
}

//! A call's record has every attempt that was sent, also where the runtime gave the call up.

use serde_json::Value;

use crate::history::History;
use crate::plan::Kind;

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for request in &history.plan.requests {
        let mut records = history.records(request.number);
        // Whether there is one is another's affair.
        let (Some(record), None) = (records.next(), records.next()) else {
            continue;
        };
        if request.api.kind() != Kind::Model {
            continue;
        }
        let attempts = record["attempts"].as_array().map_or(&[][..], Vec::as_slice);
        let was_sent = |attempt: &&Value| attempt["outcome"] != "unsupported";
        let recorded = attempts.iter().filter(was_sent).count();
        let sent = history.attempts(request.number).count();
        // One that begins is recorded before it is sent: it may be given up, or its body may break off.
        let may_begin = usize::from(history.has_deaths() || record["reason"] == "client_left");
        if recorded < sent || recorded > sent.saturating_add(may_begin) {
            let number = request.number;
            wrong.push(format!(
                "request {number} was sent {sent} times, its record has {recorded} attempts"
            ));
        }
    }
    wrong
}

//! A history as a person reads it.

use std::fmt::Write as _;

use spillway_platform_sim::SimMoment;

mod plan;
mod store;

use crate::history::{Ending, History, Outcome};

/// So much of an answer's text is shown, in characters.
const SHOWN: usize = 300;

/// What was planned, and what happened when.
pub fn trace(history: &History) -> String {
    let mut text = String::new();
    let plan = &history.plan;
    let _ = writeln!(text, "seed {}", plan.seed);
    let mut lines = plan::settings(&plan.settings);
    lines.push(plan::store(&plan.store));
    lines.extend(plan.requests.iter().map(plan::request));
    lines.extend(plan.outages.iter().map(plan::outage));
    let instances = plan.settings.instances;
    lines.extend(
        plan.faults
            .iter()
            .map(|fault| plan::fault(fault, instances)),
    );
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    let mut events = events(history);
    events.sort_by_key(|(at, _)| *at);
    for (at, words) in events {
        let _ = writeln!(text, "{:>12.6}  {words}", at.time.as_secs_f64());
    }
    text
}

fn events(history: &History) -> Vec<(SimMoment, String)> {
    let mut events: Vec<(SimMoment, String)> = Vec::new();
    for outcome in &history.outcomes {
        let number = outcome.number;
        events.push((outcome.sent, sends(history, number)));
        if let Some(head) = outcome.head {
            events.push((head, format!("client {number} has a head")));
        }
        events.push((
            outcome.ended,
            format!("client {number} {}", ending(outcome)),
        ));
    }
    for asked in &history.asked {
        let whose = asked.number.map_or("the gateway".to_owned(), |number| {
            format!("request {number}")
        });
        events.push((
            asked.at,
            format!(
                "{} is asked {} {} by {whose}, attempt {}: {:?}",
                asked.request.authority,
                asked.request.method,
                asked.request.path_and_query,
                asked.attempt.saturating_add(1),
                asked.behaviour
            ),
        ));
    }
    for event in &history.store {
        events.push((event.at, format!("store: {}", store::in_words(event))));
    }
    let notes = history.store_notes.iter();
    events.extend(notes.map(|(at, words)| (*at, format!("store: {words}"))));
    let strikes = history.strikes.iter();
    events.extend(strikes.map(|struck| {
        (
            struck.at,
            format!(
                "fate: {}",
                plan::strike(struck.what, history.plan.settings.instances)
            ),
        )
    }));
    let log = history.log.iter();
    events.extend(log.map(|(at, line)| (*at, format!("log: {line}"))));
    events
}

fn sends(history: &History, number: u32) -> String {
    let Some(plan) = history.request(number) else {
        return format!("client {number} sends");
    };
    let place = usize::try_from(number).unwrap_or_default();
    let place = place.checked_rem(history.plan.settings.instances);
    format!(
        "client {number} sends {:?} to instance {} of {:?}",
        plan.api,
        place.unwrap_or_default(),
        plan.api.kind()
    )
}

fn ending(outcome: &Outcome) -> String {
    match &outcome.ending {
        Ending::Answered(answer) => {
            let cut = if answer.is_complete {
                ""
            } else {
                ", and is cut"
            };
            let text: String = answer.text().chars().take(SHOWN).collect();
            format!("got {}{cut}: {text:?}", answer.status)
        }
        Ending::Left(answer) => {
            let had = answer.as_ref().map(|answer| answer.body.len());
            format!("leaves, with {had:?} bytes")
        }
        Ending::Lost => "lost its connection".to_owned(),
        Ending::Failed(words) => format!("got a failure of the component: {words}"),
    }
}

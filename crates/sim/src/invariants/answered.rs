//! Every request gets exactly one answer: none is lost but with its instance, and no component fails.

use crate::history::{Ending, History};

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for request in &history.plan.requests {
        let number = request.number;
        let mut of_it = history.outcomes.iter().filter(|one| one.number == number);
        let (first, second) = (of_it.next(), of_it.next());
        let Some(outcome) = first.filter(|_| second.is_none()) else {
            let often = if first.is_some() { "twice" } else { "never" };
            wrong.push(format!("request {number} ended {often}"));
            continue;
        };
        match &outcome.ending {
            Ending::Answered(_) | Ending::Left(_) => {}
            Ending::Lost if history.has_deaths() => {}
            Ending::Lost => wrong.push(format!("request {number} was lost, and nothing had died")),
            Ending::Failed(words) => {
                wrong.push(format!("the component failed at request {number}: {words}"));
            }
        }
    }
    wrong
}

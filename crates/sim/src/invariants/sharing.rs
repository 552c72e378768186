//! What one instance has found out others act on: what is ejected is not used first where there is something else.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use spillway_platform_sim::StoreOperation;

use super::blame::SETBACKS;
use crate::history::{History, Outcome};
use crate::plan::{Api, Persona, RequestPlan};

/// What is known of a provider is read once a second at most.
const FRESH: Duration = Duration::from_secs(1);

/// A read has come and gone.
const READ: Duration = Duration::from_millis(500);

pub(super) fn check(history: &History) -> Vec<String> {
    let plan = &history.plan;
    if plan.has_store_faults() || plan.store.resets > 0 || !plan.faults.is_empty() {
        return Vec::new();
    }
    let setbacks = setbacks(history);
    let mut wrong = Vec::new();
    for outcome in &history.outcomes {
        let Some(call) = Call::of(history, outcome) else {
            continue;
        };
        let known = setbacks.iter().find(|setback| {
            setback.is_of(&call)
                && setback.from <= call.at
                && setback.until > call.at.saturating_add(FRESH)
                && has_learned(history, &call, setback.from)
        });
        if let Some(setback) = known
            && has_others(history, &setbacks, call.at)
        {
            wrong.push(format!(
                "request {} was sent with {} first, {} since {:?}, though there were others",
                outcome.number, setback.name, setback.state, setback.from
            ));
        }
    }
    wrong
}

/// A call of the first provider, and where it was sent first.
struct Call<'h> {
    plan: &'h RequestPlan,
    at: Duration,
    key: String,
    endpoint: String,
}

impl<'h> Call<'h> {
    fn of(history: &'h History, outcome: &Outcome) -> Option<Self> {
        let plan = history.request(outcome.number)?;
        let is_chosen_for = matches!(
            plan.api,
            Api::Chat | Api::ChatStream | Api::Completion | Api::Embedding
        );
        let first = history.attempts(plan.number).next()?;
        if !is_chosen_for || !first.request.authority.starts_with("first") {
            return None;
        }
        let record = history.records(plan.number).next()?;
        let attempt = record.get("attempts")?.get(0)?;
        Some(Self {
            plan,
            at: first.at.time,
            key: attempt.get("key").and_then(Value::as_str)?.to_owned(),
            endpoint: format!("http://{}", first.request.authority),
        })
    }

    const fn consumer(&self) -> &'static str {
        match self.plan.caller {
            Persona::Ada => "ada",
            Persona::Bob => "bob",
            Persona::Signer => "signer",
            Persona::Nobody => "",
        }
    }
}

/// What is ejected, for how long.
struct Setback<'h> {
    name: &'h str,
    state: &'h str,
    from: Duration,
    until: Duration,
}

impl Setback<'_> {
    fn is_of(&self, call: &Call<'_>) -> bool {
        let mut words = self.name.split(' ');
        let (kind, name, consumer) = (words.next(), words.next(), words.next());
        let is_its = match kind {
            Some("key") => name == Some(call.key.as_str()),
            _ => name.is_some_and(|url| url.starts_with(&call.endpoint)),
        };
        is_its && self.state != "suspect" && consumer.is_none_or(|one| one == call.consumer())
    }
}

fn setbacks(history: &History) -> Vec<Setback<'_>> {
    let mut writes = Vec::new();
    for event in &history.store {
        if let StoreOperation::PoolWrite { provider, name, to } = &event.operation
            && provider == "first"
        {
            writes.push((event, name.as_str(), to));
        }
    }
    let mut setbacks = Vec::new();
    for (index, (event, name, to)) in writes.iter().enumerate() {
        let Some((state, time)) = to else { continue };
        if !SETBACKS.contains(&state.as_str()) {
            continue;
        }
        let mut later = writes.iter().skip(index.saturating_add(1));
        let replaced = later.find(|(_, other, _)| other == name);
        let ends = event.at.time.saturating_add(Duration::from_millis(*time));
        let until = replaced.map_or(ends, |(by, ..)| by.at.time.min(ends));
        setbacks.push(Setback {
            name,
            state,
            from: event.at.time,
            until,
        });
    }
    setbacks
}

/// Whether the call's instance must have read what was written then: it reads with a call, unless it has within a second.
fn has_learned(history: &History, call: &Call<'_>, written: Duration) -> bool {
    let place = |number: u32| {
        let number = usize::try_from(number).unwrap_or_default();
        number.checked_rem(history.plan.settings.instances)
    };
    let arrivals = history.outcomes.iter().filter_map(|outcome| {
        let other = history.request(outcome.number)?;
        let arrived = history.attempts(other.number).next()?.at.time;
        let is_one = other.api.kind() == call.plan.api.kind()
            && place(other.number) == place(call.plan.number)
            && outcome.sent.time > written.saturating_add(READ);
        (is_one && arrived.saturating_add(READ) < call.at).then_some(arrived)
    });
    let arrivals: Vec<Duration> = arrivals.collect();
    let (first, last) = (arrivals.iter().min(), arrivals.iter().max());
    first
        .zip(last)
        .is_some_and(|(first, last)| last.saturating_sub(*first) > FRESH)
}

/// Whether there was a key, and an endpoint, that never was ejected: one that was may have somebody's trial.
fn has_others(history: &History, setbacks: &[Setback<'_>], at: Duration) -> bool {
    let earlier = setbacks.iter().filter(|setback| setback.from <= at);
    let ejected: BTreeSet<(&str, &str)> = earlier
        .filter_map(|setback| {
            let mut words = setback.name.split(' ');
            words.next().zip(words.next())
        })
        .collect();
    let of = |kind: &str| ejected.iter().filter(|(one, _)| *one == kind).count();
    of("key") < history.plan.settings.keys && of("endpoint") < history.plan.settings.endpoints
}

//! No window, wherever it begins, has more than its limit: by what the store was asked and said, and by what upstreams
//! saw.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use spillway_platform::{Charge, Settled};
use spillway_platform_sim::{StoreAnswer, StoreOperation};

use crate::api::subject;
use crate::history::{Asked, History, Outcome};
use crate::plan::{Behaviour, Kind, RequestPlan, Strike};
use crate::upstream::PeerKind;

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = by_the_store(history);
    let is_exact = !history.plan.has_store_faults() && !changes_limits(history);
    if is_exact {
        wrong.extend(by_upstreams(history));
        if !history.plan.has_deaths() {
            wrong.extend(at_once(history));
        }
    }
    wrong
}

/// What was charged to one key, and when.
struct Charged {
    at_ms: u128,
    cost: u32,
    sub_window: u64,
}

/// A ledger of its own, which knows nothing of sub-windows but their names.
fn by_the_store(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ledger: BTreeMap<String, Vec<Charged>> = BTreeMap::new();
    let mut settled_names = BTreeSet::new();
    let losses: BTreeSet<usize> = history
        .strikes
        .iter()
        .filter(|struck| struck.what == Strike::StoreLoss)
        .map(|struck| struck.store_events)
        .collect();
    let mut admitted_leases = BTreeSet::new();
    for (index, event) in history.store.iter().enumerate() {
        if losses.contains(&index) {
            ledger.clear();
            admitted_leases.clear();
        }
        let now_ms = event.since_1970.as_millis();
        match (&event.operation, &event.answer) {
            (StoreOperation::Admit { charges, lease, .. }, Ok(StoreAnswer::Admitted(admitted)))
                if admitted.passes =>
            {
                let has_place = charges.iter().any(Charge::is_in_flight);
                if has_place && !admitted_leases.insert(lease.0.clone()) {
                    // Sent again, it is charged nothing more.
                    continue;
                }
                for (charge, charged) in charges.iter().zip(&admitted.charges) {
                    wrong.extend(charge_to(&mut ledger, now_ms, charge, charged.sub_window));
                }
            }
            (StoreOperation::Settle(settled, name), Ok(_))
                if settled_names.insert(name.0.clone()) =>
            {
                for one in settled {
                    settle(&mut ledger, one);
                }
            }
            _ => {}
        }
    }
    wrong
}

/// Charges one rule, and says so if that is more than may be.
fn charge_to(
    ledger: &mut BTreeMap<String, Vec<Charged>>,
    now_ms: u128,
    charge: &Charge,
    sub_window: u64,
) -> Option<String> {
    let window_ms = charge.window_ms()?;
    let entries = ledger.entry(charge.key.clone()).or_default();
    entries.push(Charged {
        at_ms: now_ms,
        cost: charge.cost,
        sub_window,
    });
    let since = now_ms.saturating_sub(u128::from(window_ms));
    let within = entries.iter().filter(|one| one.at_ms > since);
    let sum: u32 = within.map(|one| one.cost).sum();
    let (key, limit) = (&charge.key, charge.limit);
    (sum > limit).then(|| {
        format!("{sum} within the {window_ms} ms until {now_ms} under {key}, where {limit} may be")
    })
}

fn settle(ledger: &mut BTreeMap<String, Vec<Charged>>, settled: &Settled) {
    let Settled {
        charge: Charge { key, cost, .. },
        sub_window,
        actual,
    } = settled;
    let entries = ledger.get_mut(key).into_iter().flatten();
    let mut of_it = entries.filter(|one| one.sub_window == *sub_window && one.cost == *cost);
    if let Some(entry) = of_it.next() {
        entry.cost = *actual;
    }
}

fn changes_limits(history: &History) -> bool {
    history
        .strikes
        .iter()
        .any(|struck| struck.what == Strike::NewConfiguration)
}

/// Between a request's admission and its arrival upstream lies less than this.
const ON_THE_WAY: Duration = Duration::from_secs(5);

const MINUTE: Duration = Duration::from_secs(60);

/// Dify's apps, as Dify has seen their calls. Those that it knew nothing of are taken back.
fn by_upstreams(history: &History) -> Vec<String> {
    let limit = usize::try_from(history.plan.settings.requests_a_minute).unwrap_or(usize::MAX);
    let mut arrivals: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for (request, first) in to_dify(history) {
        if !history.attempts(request.number).any(is_401) {
            arrivals
                .entry(subject(request.subject))
                .or_default()
                .push(first.at);
        }
    }
    let mut wrong = Vec::new();
    for (app, mut times) in arrivals {
        times.sort_unstable();
        for (index, from) in times.iter().enumerate() {
            let until = from.saturating_add(MINUTE).saturating_sub(ON_THE_WAY);
            let within = times.iter().skip(index).filter(|at| **at < until).count();
            if within > limit {
                wrong.push(format!("Dify saw {within} requests of app {app} within a minute from {from:?}, where {limit} may be"));
                break;
            }
        }
    }
    wrong
}

const fn is_401(asked: &Asked) -> bool {
    matches!(asked.behaviour, Behaviour::Status(401, _))
}

/// Of Dify's apps no more are under way than may be.
fn at_once(history: &History) -> Vec<String> {
    let limit = usize::try_from(history.plan.settings.at_once).unwrap_or(usize::MAX);
    let mut times: BTreeMap<&str, Vec<(Duration, Duration)>> = BTreeMap::new();
    for (request, first) in to_dify(history) {
        let is_it = |one: &&Outcome| one.number == request.number;
        if let Some(outcome) = history.outcomes.iter().find(is_it) {
            let times = times.entry(subject(request.subject)).or_default();
            times.push((first.at, outcome.ended));
        }
    }
    let mut wrong = Vec::new();
    for (app, times) in times {
        for (moment, _) in &times {
            let under_way = times
                .iter()
                .filter(|(from, to)| from <= moment && moment < to)
                .count();
            if under_way > limit {
                wrong.push(format!("{under_way} requests of app {app} are under way at {moment:?}, where {limit} may be"));
                break;
            }
        }
    }
    wrong
}

/// Requests that reached Dify, and the first time that they did.
fn to_dify(history: &History) -> impl Iterator<Item = (&RequestPlan, &Asked)> {
    let of_agents = history
        .plan
        .requests
        .iter()
        .filter(|request| request.api.kind() == Kind::Agent);
    of_agents.filter_map(|request| {
        let mut asked = history.attempts(request.number);
        let first = asked.find(|asked| asked.service == PeerKind::Dify)?;
        Some((request, first))
    })
}

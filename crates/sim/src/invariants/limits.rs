//! No window, wherever it begins, has more than its limit: by what the store was asked and said, and by what upstreams
//! saw.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use spillway_platform::{Charge, Settled};
use spillway_platform_sim::{StoreAnswer, StoreOperation};

use crate::api::subject;
use crate::history::{Asked, History, Outcome};
use crate::plan::{Api, Behaviour, Kind, Persona, RequestPlan, Strike};
use crate::upstream::PeerKind;

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = by_the_store(history);
    wrong.extend(all_were_asked_for(history));
    let is_exact = !history.plan.has_store_faults() && !changes_limits(history);
    if is_exact {
        wrong.extend(by_upstreams(history));
        if !history.has_lost_instances() && !history.plan.settings.dry_run {
            wrong.extend(at_once(history));
        }
    }
    wrong
}

/// What was charged to one key, and when: in truth, and by the store's clock, which may jump.
struct Charged {
    at: Duration,
    at_ms: u128,
    cost: u64,
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
    let shortest_ms = shortest_window_ms(history);
    let is_kept = |charge: &Charge| {
        !charge.is_reserved() && charge.window_ms().is_some_and(|ms| ms >= shortest_ms)
    };
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
                let charged = charges.iter().zip(&admitted.charges);
                let windows = charged.filter(|(charge, _)| is_kept(charge));
                for (charge, charged) in windows {
                    let now = (event.at.time, now_ms);
                    wrong.extend(charge_to(&mut ledger, now, charge, charged.sub_window));
                }
            }
            (StoreOperation::Settle(settled, name), Ok(_))
                if settled_names.insert(name.0.clone()) =>
            {
                for one in settled.iter().filter(|one| is_kept(&one.charge)) {
                    let is_known = settle(&mut ledger, one);
                    if !is_known && losses.is_empty() {
                        let key = &one.charge.key;
                        wrong.push(format!("what is settled under {key} was settled before"));
                    }
                }
            }
            _ => {}
        }
    }
    wrong
}

/// A clock that steps back by more than a window has forgotten what was counted in it: `docs/limits.md`.
pub(super) fn shortest_window_ms(history: &History) -> u64 {
    let steps = history
        .strikes
        .iter()
        .filter_map(|struck| match struck.what {
            Strike::StoreClockStep(milliseconds) => Some(milliseconds.unsigned_abs()),
            _ => None,
        });
    steps.max().unwrap_or_default()
}

/// Charges one rule, and says so if that is more than may be.
fn charge_to(
    ledger: &mut BTreeMap<String, Vec<Charged>>,
    (now, now_ms): (Duration, u128),
    charge: &Charge,
    sub_window: u64,
) -> Option<String> {
    let window_ms = charge.window_ms()?;
    let entries = ledger.entry(charge.key.clone()).or_default();
    entries.push(Charged {
        at: now,
        at_ms: now_ms,
        cost: charge.cost,
        sub_window,
    });
    let since = now_ms.saturating_sub(u128::from(window_ms));
    let long_ago = now.checked_sub(Duration::from_millis(window_ms));
    let is_recent = |one: &&Charged| long_ago.is_none_or(|long_ago| one.at > long_ago);
    let within = entries
        .iter()
        .filter(|one| one.at_ms > since)
        .filter(is_recent);
    let sum: u64 = within.map(|one| one.cost).sum();
    let (key, limit) = (&charge.key, charge.limit);
    (sum > limit && !charge.dry_run).then(|| {
        format!("{sum} within the {window_ms} ms until {now_ms} under {key}, where {limit} may be")
    })
}

/// Whether there was something to settle.
fn settle(ledger: &mut BTreeMap<String, Vec<Charged>>, settled: &Settled) -> bool {
    let Settled {
        charge: Charge { key, cost, .. },
        sub_window,
        actual,
    } = settled;
    let entries = ledger.get_mut(key).into_iter().flatten();
    let mut of_it = entries.filter(|one| one.sub_window == *sub_window && one.cost == *cost);
    let entry = of_it.next();
    let is_known = entry.is_some();
    if let Some(entry) = entry {
        entry.cost = *actual;
    }
    is_known
}

fn changes_limits(history: &History) -> bool {
    history.strikes.iter().any(|struck| {
        matches!(
            struck.what,
            Strike::NewConfiguration | Strike::BrokenConfiguration
        )
    })
}

/// Between a request's admission and its arrival upstream lies less than this.
const ON_THE_WAY: Duration = Duration::from_secs(5);

const MINUTE: Duration = Duration::from_secs(60);

/// Apps as Dify has seen their calls, and consumers as providers have. What Dify knew nothing of is taken back.
fn by_upstreams(history: &History) -> Vec<String> {
    let settings = &history.plan.settings;
    let mut arrivals: BTreeMap<(String, u32), Vec<Duration>> = BTreeMap::new();
    for (request, first) in first_asked(history) {
        let whose = match request.api.kind() {
            Kind::Agent if settings.dry_run => continue,
            Kind::Agent if history.attempts(request.number).any(is_401) => continue,
            Kind::Agent => (
                format!("app {}", subject(request.subject)),
                settings.requests_a_minute,
            ),
            Kind::Model => (format!("{:?}", request.caller), settings.calls_a_minute),
            _ => continue,
        };
        arrivals.entry(whose).or_default().push(first.at.time);
    }
    let mut wrong = Vec::new();
    for ((whose, limit), mut times) in arrivals {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        times.sort_unstable();
        for (index, from) in times.iter().enumerate() {
            let until = from.saturating_add(MINUTE).saturating_sub(ON_THE_WAY);
            let within = times.iter().skip(index).filter(|at| **at < until).count();
            if within > limit {
                wrong.push(format!(
                    "{within} requests of {whose} got through within a minute from {from:?}, where {limit} may"
                ));
                break;
            }
        }
    }
    wrong
}

/// Where nothing passes that the store has not let pass, no more have.
fn all_were_asked_for(history: &History) -> Option<String> {
    let plan = &history.plan;
    if !plan.settings.denies || plan.settings.dry_run || plan.store.resets > 0 {
        return None;
    }
    let let_pass = history.store.iter().filter(|event| {
        let is_admission = matches!(event.operation, StoreOperation::Admit { .. });
        is_admission
            && matches!(&event.answer, Ok(StoreAnswer::Admitted(admitted)) if admitted.passes)
    });
    let (let_pass, passed) = (let_pass.count(), first_asked(history).count());
    (passed > let_pass)
        .then(|| format!("{passed} requests got through, and the store has let {let_pass} pass"))
}

pub(super) const fn is_401(asked: &Asked) -> bool {
    matches!(asked.behaviour, Behaviour::Status(401, _))
}

/// Of Dify's apps, and of consumers, no more are under way than may be.
fn at_once(history: &History) -> Vec<String> {
    let mut times: BTreeMap<(Kind, &str), Vec<(Duration, Duration)>> = BTreeMap::new();
    let of_dify = |first: &Asked| first.service == PeerKind::Dify;
    // What is answered in one piece has ended for the gateway before its client has read it.
    let may_be_told =
        |request: &RequestPlan, first: &Asked| of_dify(first) || request.api == Api::ChatStream;
    for (request, first) in
        first_asked(history).filter(|(request, first)| may_be_told(request, first))
    {
        let is_it = |one: &&Outcome| one.number == request.number;
        let (Some(outcome), Some(holder)) = (history.outcomes.iter().find(is_it), holder(request))
        else {
            continue;
        };
        let times = times.entry((request.api.kind(), holder)).or_default();
        // What its client takes over the last piece is its own affair.
        let ended = outcome.ended.time.saturating_sub(request.pause);
        times.push((first.at.time, ended));
    }
    let mut wrong = Vec::new();
    for ((kind, holder), times) in times {
        let limit = max_at_once(history, kind);
        for (moment, _) in &times {
            let under_way = times
                .iter()
                .filter(|(from, to)| from <= moment && moment < to)
                .count();
            if under_way > limit {
                wrong.push(format!("{under_way} requests of {holder} are under way at {moment:?}, where {limit} may be"));
                break;
            }
        }
    }
    wrong
}

/// By what requests are counted that are in flight: the app, or the consumer.
pub(super) fn holder(request: &RequestPlan) -> Option<&'static str> {
    match request.api.kind() {
        Kind::Agent => Some(subject(request.subject)),
        Kind::Model => match request.caller {
            Persona::Ada => Some("ada"),
            Persona::Bob => Some("bob"),
            Persona::Signer => Some("signer"),
            Persona::Nobody => None,
        },
        Kind::Knowledge | Kind::Console => None,
    }
}

/// How many of one holder may be in flight.
pub(super) fn max_at_once(history: &History, kind: Kind) -> usize {
    let settings = &history.plan.settings;
    let limit = match kind {
        Kind::Agent => settings.at_once,
        _ => settings.calls_at_once,
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Requests of limited APIs that reached an upstream, and the first time that they did.
fn first_asked(history: &History) -> impl Iterator<Item = (&RequestPlan, &Asked)> {
    let requests = history.plan.requests.iter();
    let limited = requests.filter(|one| matches!(one.api.kind(), Kind::Agent | Kind::Model));
    limited.filter_map(|request| {
        let first = history.attempts(request.number).next()?;
        Some((request, first))
    })
}

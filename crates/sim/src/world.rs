//! A history happens.

use std::time::Duration;

use spillway_platform::State as _;
use spillway_platform_sim::{PeerStep, ReceivedRequest, Sim, SimMoment};

use crate::client::Client;
use crate::fate::{self, Fate};
use crate::fleet::Fleet;
use crate::history::{Asked, History, Recorder};
use crate::panics;
use crate::plan::{Behaviour, Outage, Place, Plan};
use crate::record::record_of;
use crate::settings::PROVIDER_SECRET;
use crate::upstream::{PeerKind, PeerScript, asked_key, asked_mark, odd_script};

/// After the last request all is over within this.
const AFTERWARDS: Duration = Duration::from_secs(2 * 3_600);

fn ends_by(plan: &Plan) -> Duration {
    let last = plan.requests.iter().map(|request| request.at).max();
    last.unwrap_or_default().saturating_add(AFTERWARDS)
}

/// Runs a plan.
pub fn run(plan: &Plan) -> History {
    let sim = Sim::seeded(plan.seed);
    let recorder = Recorder::default();
    let fleet = Fleet::new(&sim, plan.settings.instances);
    sim.set_variable("gateway_config", &plan.settings.normal_form(1));
    for (authority, service) in upstreams(plan) {
        let (clock, plan, recorder) = (sim.clone(), plan.clone(), recorder.clone());
        sim.set_upstream(&authority, move |asked| {
            answer(&plan, service, asked, &recorder, clock.moment())
        });
    }
    let fate = Fate::new(plan, &sim, &fleet, &recorder);
    fate.watch_over_store();
    for fault in &plan.faults {
        sim.outside(fate.clone().strike(*fault));
    }
    for request in &plan.requests {
        let client = Client::new(request.clone(), &sim, &fleet, &recorder);
        sim.outside(client.act());
    }
    let ran = panics::catch(|| sim.run_out(ends_by(plan)));
    let has_panicked = ran.is_err();
    let faults = ran.unwrap_or_else(|words| vec![format!("a panic, which is an outage: {words}")]);
    let recorded = recorder.take();
    let history = History {
        plan: plan.clone(),
        outcomes: recorded.outcomes,
        asked: recorded.asked,
        strikes: recorded.strikes,
        records: sim
            .log_lines()
            .iter()
            .filter_map(|line| record_of(line))
            .collect(),
        log: sim.log_events(),
        store: sim.store_events(),
        store_notes: sim.store_notes(),
        totals: if faults.is_empty() {
            totals(&sim)
        } else {
            Vec::new()
        },
        leases: sim.oracle().leases(),
        reserved: sim.oracle().reserved(),
        faults,
    };
    if has_panicked {
        // Whatever it has left behind may be in pieces.
        std::mem::forget(sim);
    } else {
        sim.end();
    }
    history
}

fn totals(sim: &Sim) -> Vec<(String, u64)> {
    let oracle = sim.oracle();
    sim.run(async move { oracle.totals("").await.unwrap_or_default() })
}

fn upstreams(plan: &Plan) -> Vec<(String, PeerKind)> {
    let mut upstreams: Vec<(String, PeerKind)> = (0..plan.settings.endpoints)
        .map(|endpoint| (format!("first{endpoint}:1"), PeerKind::OpenAi))
        .collect();
    let second = if plan.settings.second_is_anthropic {
        PeerKind::Anthropic
    } else {
        PeerKind::OpenAi
    };
    upstreams.push(("second:2".to_owned(), second));
    for dify in ["api:5001", "web:3000"] {
        upstreams.push((dify.to_owned(), PeerKind::Dify));
    }
    for engine in ["flow:9380", "engine:9"] {
        upstreams.push((engine.to_owned(), PeerKind::Knowledge));
    }
    upstreams
}

fn answer(
    plan: &Plan,
    service: PeerKind,
    asked: &ReceivedRequest,
    recorder: &Recorder,
    at: SimMoment,
) -> Vec<PeerStep> {
    let number = asked_mark(asked);
    let attempt = number.map_or(0, |number| recorder.attempts(number));
    let planned = number.map_or(plan.settings.probes, |number| {
        plan.behaviour(number, attempt)
    });
    let key = asked_key(asked);
    let is_out = |outage: &&Outage| {
        let is_there = match outage.place {
            Place::Endpoint(number) => asked.authority == format!("first{number}:1"),
            Place::Key(number) => key.ends_with(&format!("{PROVIDER_SECRET}first-{number}")),
        };
        is_there && (outage.from..outage.until).contains(&at.time)
    };
    let outage = plan.outages.iter().find(is_out);
    let behaviour = outage.map_or(planned, |outage| outage.behaviour);
    let is_other_form = behaviour == Behaviour::OtherForm;
    let answer = service.answer(asked, number.unwrap_or_default(), is_other_form);
    let error = |status| service.error()(status, key);
    let odd = match (service, behaviour) {
        (PeerKind::OpenAi, Behaviour::Odd(oddity)) => {
            number.and_then(|number| odd_script(oddity, asked, number))
        }
        _ => None,
    };
    let script = odd.unwrap_or_else(|| PeerScript::of(&answer, &error, behaviour));
    let script = match service {
        PeerKind::OpenAi | PeerKind::Anthropic => script.quoting(key),
        PeerKind::Dify | PeerKind::Knowledge => script,
    };
    recorder.asked(Asked {
        at,
        number,
        attempt,
        service,
        behaviour,
        request: asked.clone(),
        body: script.body,
        is_clean: script.is_clean,
    });
    script.steps
}

/// Chance of the store's, apart from the simulation's own.
pub(crate) fn store_chance(plan: &Plan) -> fastrand::Rng {
    fastrand::Rng::with_seed(plan.seed ^ fate::SALT)
}

//! A history happens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use spillway_platform::State as _;
use spillway_platform_sim::{PeerStep, ReceivedRequest, Sim};

use crate::client::Client;
use crate::fate::{self, Fate};
use crate::fleet::Fleet;
use crate::history::{Asked, History, Recorder};
use crate::plan::{Behaviour, Plan};
use crate::upstream::{PeerKind, Script, asked_mark};

/// Runs a plan.
pub fn run(plan: &Plan) -> History {
    let sim = Sim::seeded(plan.seed);
    let recorder = Recorder::default();
    let fleet = Fleet::new(&sim, plan.settings.instances);
    sim.set_variable("gateway_config", &plan.settings.normal_form(1));
    for (authority, service) in upstreams(plan) {
        let (sim_, plan, recorder) = (sim.clone(), plan.clone(), recorder.clone());
        sim.set_upstream(&authority, move |asked| {
            answer(&plan, service, asked, &recorder, sim_.time())
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
    let ran = catch_unwind(AssertUnwindSafe(|| sim.run_out()));
    let faults = match ran {
        Ok(faults) => faults,
        Err(panic) => {
            // Whatever it has left behind may be in pieces.
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            vec![format!(
                "a panic, which is an outage: {}",
                words.unwrap_or_default()
            )]
        }
    };
    let has_panicked = faults.iter().any(|fault| fault.starts_with("a panic"));
    let recorded = recorder.take();
    let history = History {
        plan: plan.clone(),
        outcomes: recorded.outcomes,
        asked: recorded.asked,
        strikes: recorded.strikes,
        log: sim.log_events(),
        store: sim.store_events(),
        totals: if has_panicked {
            Vec::new()
        } else {
            totals(&sim)
        },
        leases: sim.oracle().leases(),
        faults,
        ended: sim.time(),
    };
    if has_panicked {
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
    at: Duration,
) -> Vec<PeerStep> {
    let number = asked_mark(asked);
    let attempt = number.map_or(0, |number| recorder.attempts(number));
    // What the gateway asks by itself is answered well: it is about everybody's, and nobody's request.
    let behaviour = number.map_or(Behaviour::Well, |number| plan.behaviour(number, attempt));
    let answer = service.answer(asked, number.unwrap_or_default());
    let script = Script::of(&answer, service.error(), behaviour);
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

/// What chance gives for one purpose in a run, whatever else there is in it.
pub(crate) fn chance(plan: &Plan, purpose: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(
        plan.seed ^ fate::SALT.rotate_left(u32::try_from(purpose % 64).unwrap_or_default()),
    )
}

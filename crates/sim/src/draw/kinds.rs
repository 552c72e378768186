//! Kinds of plans of which more is known than of others, so that more can be asked of them.

use std::time::Duration;

use fastrand::Rng;

use super::{choose, one_in};
use crate::plan::{
    Api, Behaviour, BodyPlan, Fault, Outage, Persona, Place, Plan, RequestPlan, StorePlan, Strike,
    When,
};

/// Nothing goes wrong but what these plans add.
fn calm(plan: &mut Plan) {
    plan.faults.clear();
    plan.outages.clear();
    plan.settings.probes = Behaviour::Well;
    plan.settings.calls_a_second = None;
    plan.settings.calls_at_once = 1_000;
    plan.settings.tokens = None;
    plan.settings.dry_run = false;
    plan.store = StorePlan {
        latency_us: plan.store.latency_us,
        ..StorePlan::default()
    };
    for request in &mut plan.requests {
        request.behaviours.clear();
        request.body = BodyPlan::Whole;
        request.leaves = None;
        request.pause = Duration::ZERO;
    }
}

/// One consumer does all the harm that a client can do.
pub(super) fn one_culprit(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.keys = rng.usize(1..3);
    plan.settings.calls_a_minute = 1_000;
    let statuses = [400, 401, 402, 403, 429, 500, 503];
    for request in &mut plan.requests {
        request.api = *choose(rng, &[Api::Chat, Api::ChatStream, Api::Embedding]);
        request.caller = *choose(
            rng,
            &[Persona::Bob, Persona::Bob, Persona::Ada, Persona::Signer],
        );
        if request.caller == Persona::Bob {
            let status = Behaviour::Status(*choose(rng, &statuses), None);
            let all = [status, status, status, Behaviour::Silent, Behaviour::Reset];
            request.behaviours = vec![*choose(rng, &all); rng.usize(1..8)];
        }
    }
}

/// Calls that fail once, and could be served then.
pub(super) fn one_failure_each(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.has_second = true;
    plan.settings.calls_a_minute = 1_000;
    plan.settings.breaker_failures = None;
    plan.settings.max_attempts = *choose(rng, &[0, 2, 4]);
    // An endpoint is ejected after five.
    plan.requests.truncate(4);
    let failures = [
        Behaviour::Reset,
        Behaviour::Status(500, None),
        Behaviour::Status(503, None),
        Behaviour::WebPage,
        Behaviour::Empty,
        Behaviour::CutAt(0),
    ];
    for request in &mut plan.requests {
        request.api = *choose(rng, &[Api::Chat, Api::ChatStream]);
        request.caller = Persona::Ada;
        request.behaviours = vec![*choose(rng, &failures)];
    }
}

/// Dify does not know the keys of many runs.
pub(super) fn unknown_apps(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.requests_a_minute = rng.u32(2..6);
    plan.settings.at_once = 1_000;
    for request in &mut plan.requests {
        request.api = *choose(rng, &[Api::Run, Api::RunStream]);
        if rng.bool() {
            request.behaviours = vec![Behaviour::Status(401, None)];
        }
    }
}

/// One key, or one endpoint, fails for a while, and there are others: instances tell each other.
pub(super) fn part_of_a_provider_fails(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.instances = rng.usize(2..4);
    plan.settings.keys = rng.usize(2..4);
    plan.settings.endpoints = 2;
    plan.settings.calls_a_minute = 1_000;
    plan.settings.breaker_failures = Some(rng.u32(1..3));
    for request in &mut plan.requests {
        request.api = *choose(rng, &[Api::Chat, Api::ChatStream, Api::Embedding]);
        request.caller = *choose(rng, &[Persona::Ada, Persona::Bob]);
    }
    let from = Duration::from_secs(rng.u64(0..30));
    let statuses = [401, 402, 429, 500, 503];
    plan.outages = vec![Outage {
        from,
        until: from.saturating_add(Duration::from_secs(rng.u64(20..150))),
        place: *choose(rng, &[Place::Key(0), Place::Endpoint(0)]),
        behaviour: match rng.u8(0..3) {
            0 => Behaviour::Refused,
            _ => Behaviour::Status(*choose(rng, &statuses), None),
        },
    }];
}

/// Runs that take longer than a lease, and so few at once that most are refused.
pub(super) fn long_runs(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.requests_a_minute = 1_000;
    plan.settings.at_once = rng.u32(1..3);
    for request in &mut plan.requests {
        request.api = Api::RunStream;
        let pause = Duration::from_secs(rng.u64(2..8));
        request.behaviours = vec![Behaviour::Pieces(12, pause)];
    }
}

/// The store is away once, and nothing else goes wrong; those who come are those whom it counts.
pub(super) fn store_goes_and_returns(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.instances = rng.usize(1..3);
    plan.settings.requests_a_minute = *choose(rng, &[3, 1_000]);
    plan.settings.calls_a_minute = 1_000;
    plan.settings.at_once = rng.u32(1..3);
    let are_slow = rng.bool();
    for request in &mut plan.requests {
        request.api = *choose(rng, &[Api::Chat, Api::Run, Api::RunStream]);
        request.caller = *choose(rng, &[Persona::Ada, Persona::Bob]);
        if are_slow {
            // They end while it is away.
            request.api = Api::Run;
            request.subject = 0;
            let takes = Duration::from_millis(*choose(rng, &[500, 3_000, 11_000]));
            request.behaviours = vec![Behaviour::Slow(takes)];
            if one_in(rng, 3) {
                // Dify does not know it, and it is taken back.
                request.behaviours = vec![Behaviour::Status(401, None)];
            }
        }
    }
    // While somebody is there, if only just.
    let from = choose(rng, &plan.requests).at;
    let before = Duration::from_millis(rng.u64(0..50));
    let time = Duration::from_millis(rng.u64(100..10_000));
    plan.faults = vec![Fault {
        when: When::At(from.saturating_sub(before)),
        what: *choose(
            rng,
            &[
                Strike::StoreSilent(time),
                Strike::StoreDown(time),
                Strike::StoreLate(time),
            ],
        ),
    }];
}

/// Connections to the store break now and then, after they have stood for a while, and nothing else goes wrong.
pub(super) fn connections_break(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.instances = 1;
    plan.settings.requests_a_minute = 1_000;
    plan.settings.calls_a_minute = 1_000;
    plan.settings.at_once = 1_000;
    plan.settings.denies = true;
    plan.store.resets = rng.u16(100..600);
    for request in &mut plan.requests {
        request.api = *choose(rng, &[Api::Chat, Api::ChatStream, Api::Run, Api::RunStream]);
        request.caller = *choose(rng, &[Persona::Signer, Persona::Signer, Persona::Ada]);
        request.nonce = request.number;
    }
}

/// Bodies so large that limits are asked in two steps, of which the second may refuse what the first has counted.
pub(super) fn large_bodies(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.calls_a_minute = rng.u32(2..6);
    for request in &mut plan.requests {
        request.api = *choose(rng, &[Api::Chat, Api::ChatStream]);
        request.caller = *choose(rng, &[Persona::Ada, Persona::Bob]);
        request.padding = 70_000;
    }
}

/// The runtime gives up requests while an instance begins, and nothing else goes wrong.
pub(super) fn given_up_early(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.instances = rng.usize(1..3);
    plan.store.latency_us = *choose(rng, &[400, 20_000]);
    plan.faults = (0..rng.usize(1..4))
        .map(|_| Fault {
            when: When::Turn(rng.u64(1..60)),
            what: Strike::Cancel(rng.usize(0..8)),
        })
        .collect();
}

/// Very many calls at once, and nothing serves.
pub(super) fn storm(rng: &mut Rng, plan: &mut Plan) {
    calm(plan);
    plan.settings.calls_a_minute = 10_000;
    plan.settings.max_attempts = 0;
    // Breakers stay closed, or there would be nothing for the budget to do.
    plan.settings.breaker_failures = Some(400);
    plan.settings.timeout = Some(Duration::from_secs(5));
    let failure = *choose(rng, &[Behaviour::Reset, Behaviour::Status(500, None)]);
    plan.requests = (0..300)
        .map(|number| RequestPlan {
            number,
            at: Duration::from_micros(rng.u64(0..4_000_000)),
            api: Api::Chat,
            caller: *choose(rng, &[Persona::Ada, Persona::Bob]),
            nonce: number,
            subject: 0,
            padding: 0,
            body: BodyPlan::Whole,
            behaviours: vec![failure; 12],
            pause: Duration::ZERO,
            leaves: None,
        })
        .collect();
}

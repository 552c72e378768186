//! Plans, as a seed has them.

use std::time::Duration;

use fastrand::Rng;

use crate::plan::{
    Api, Behaviour, BodyPlan, Fault, Leave, Outage, Persona, Place, Plan, RequestPlan, StorePlan,
    Strike, When,
};
use crate::settings::{Settings, TokenSettings};

mod behaviours;
mod kinds;

use behaviours::behaviour;

/// Most histories are this long, so that windows of a minute begin and end in them.
const SPAN: Duration = Duration::from_secs(150);

/// Most histories have no more turns than two to the power of this.
const TURNS: u32 = 10;

/// The plan of a seed.
pub fn plan(seed: u64) -> Plan {
    let mut rng = Rng::with_seed(seed);
    let settings = settings(&mut rng);
    let count = if one_in(&mut rng, 40) {
        120
    } else {
        rng.u32(4..32)
    };
    // Half of the time everybody comes within a few seconds, so that they meet.
    let span = if rng.bool() {
        Duration::from_secs(4)
    } else {
        SPAN
    };
    let trouble = Trouble {
        of_upstreams: *choose(&mut rng, &[0, 0, 200, 500, 900]),
        of_clients: *choose(&mut rng, &[0, 0, 150, 400]),
    };
    let only = one_in(&mut rng, 3).then(|| api(&mut rng));
    let requests: Vec<RequestPlan> = (0..count)
        .map(|number| request(&mut rng, number, span, &trouble, only))
        .collect();
    let mut plan = Plan {
        seed,
        settings,
        requests,
        faults: faults(&mut rng, span),
        store: store(&mut rng),
        outages: outages(&mut rng, span),
    };
    match rng.u32(0..120) {
        0 => kinds::storm(&mut rng, &mut plan),
        1..=20 => kinds::one_culprit(&mut rng, &mut plan),
        21..=40 => kinds::one_failure_each(&mut rng, &mut plan),
        41..=50 => kinds::given_up_early(&mut rng, &mut plan),
        51..=60 => kinds::unknown_apps(&mut rng, &mut plan),
        100..=105 => kinds::large_bodies(&mut rng, &mut plan),
        93..=99 => kinds::connections_break(&mut rng, &mut plan),
        83..=92 => kinds::store_goes_and_returns(&mut rng, &mut plan),
        76..=82 => kinds::long_runs(&mut rng, &mut plan),
        61..=75 => kinds::part_of_a_provider_fails(&mut rng, &mut plan),
        _ => {}
    }
    plan
}

/// How often things go wrong, of 1,000.
struct Trouble {
    of_upstreams: u16,
    of_clients: u16,
}

fn one_in(rng: &mut Rng, count: u32) -> bool {
    rng.u32(0..count.max(1)) == 0
}

fn hits(rng: &mut Rng, rate: u16) -> bool {
    rng.u16(0..1_000) < rate
}

fn choose<'v, T>(rng: &mut Rng, values: &'v [T]) -> &'v T {
    // No list of values here is empty.
    #[expect(clippy::indexing_slicing, reason = "within its length")]
    &values[rng.usize(..values.len())]
}

/// As often few as many.
fn turns(rng: &mut Rng) -> u64 {
    let max = 1_u64.checked_shl(rng.u32(0..=TURNS)).unwrap_or(1);
    rng.u64(0..=max)
}

fn milliseconds(rng: &mut Rng, up_to: u64) -> Duration {
    Duration::from_millis(rng.u64(0..=up_to))
}

fn settings(rng: &mut Rng) -> Settings {
    Settings {
        instances: rng.usize(1..4),
        calls_a_minute: rng.u32(2..20),
        calls_a_second: *choose(rng, &[None, None, Some(1), Some(3)]),
        calls_at_once: *choose(rng, &[1_000, 1_000, 1, 2, 4]),
        tokens: one_in(rng, 2).then(|| TokenSettings {
            a_minute: *choose(rng, &[20, 60, 200, 1_000]),
            reserve: choose::<&'static str>(rng, &["expected", "max", "none"]),
        }),
        by_key: rng.bool(),
        dry_run: one_in(rng, 10),
        requests_a_minute: rng.u32(2..20),
        at_once: rng.u32(1..5),
        denies: rng.bool(),
        refused_goes_on: one_in(rng, 3),
        max_attempts: *choose(rng, &[0, 0, 1, 2, 4]),
        deadline: *choose(rng, &[Duration::from_secs(280), Duration::from_secs(20)]),
        keep_alive: *choose(rng, &[Duration::from_secs(15), Duration::from_secs(2)]),
        timeout: *choose(rng, &[None, Some(Duration::from_secs(5))]),
        keys: rng.usize(1..4),
        endpoints: rng.usize(1..3),
        second_is_anthropic: rng.bool(),
        has_second: !one_in(rng, 4),
        least_request: rng.bool(),
        probes: *choose(
            rng,
            &[
                Behaviour::Well,
                Behaviour::Well,
                Behaviour::Status(401, None),
                Behaviour::Status(500, None),
                Behaviour::Silent,
            ],
        ),
        breaker_failures: *choose(rng, &[None, None, Some(1), Some(3)]),
        first_byte: Duration::from_secs(30),
    }
}

fn request(
    rng: &mut Rng,
    number: u32,
    span: Duration,
    trouble: &Trouble,
    only: Option<Api>,
) -> RequestPlan {
    let at =
        Duration::from_micros(rng.u64(0..=u64::try_from(span.as_micros()).unwrap_or_default()));
    // Some at the very same time.
    let at = if one_in(rng, 3) {
        Duration::from_secs(at.as_secs())
    } else {
        at
    };
    let behaviours = (0..rng.usize(1..6))
        .map(|_| {
            if hits(rng, trouble.of_upstreams) {
                behaviour(rng)
            } else {
                Behaviour::Well
            }
        })
        .collect();
    RequestPlan {
        number,
        at,
        api: only.unwrap_or_else(|| api(rng)),
        caller: *choose(
            rng,
            &[
                Persona::Ada,
                Persona::Ada,
                Persona::Bob,
                Persona::Signer,
                Persona::Nobody,
            ],
        ),
        nonce: if one_in(rng, 8) {
            rng.u32(0..=number)
        } else {
            number
        },
        subject: rng.u8(0..3),
        padding: if one_in(rng, 12) { 70_000 } else { 0 },
        body: body(rng, trouble),
        behaviours,
        pause: if hits(rng, trouble.of_clients) {
            milliseconds(rng, 3_000)
        } else {
            Duration::ZERO
        },
        leaves: hits(rng, trouble.of_clients).then(|| leave(rng)),
    }
}

fn api(rng: &mut Rng) -> Api {
    *choose(
        rng,
        &[
            Api::Chat,
            Api::Chat,
            Api::ChatStream,
            Api::ChatStream,
            Api::ChatStream,
            Api::Completion,
            Api::Embedding,
            Api::Response,
            Api::Models,
            Api::Nowhere,
            Api::File,
            Api::Run,
            Api::RunStream,
            Api::RunStream,
            Api::Page,
            Api::Upload,
            Api::Ragflow,
            Api::Engine,
            Api::Ready,
            Api::Metrics,
            Api::Limits,
        ],
    )
}

fn body(rng: &mut Rng, trouble: &Trouble) -> BodyPlan {
    if !hits(rng, trouble.of_clients) {
        return BodyPlan::Whole;
    }
    match rng.u8(0..3) {
        0 => BodyPlan::Slow(milliseconds(rng, 3_000)),
        1 => BodyPlan::Broken,
        _ => BodyPlan::Garbled,
    }
}

fn leave(rng: &mut Rng) -> Leave {
    if rng.bool() {
        Leave::Pieces(rng.usize(0..6))
    } else if rng.bool() {
        Leave::Turn(turns(rng))
    } else if rng.bool() {
        Leave::After(Duration::from_micros(rng.u64(0..5_000)))
    } else {
        Leave::After(milliseconds(rng, 20_000))
    }
}

fn store(rng: &mut Rng) -> StorePlan {
    let mut rate = || if one_in(rng, 5) { rng.u16(0..200) } else { 0 };
    let (silent, late, resets) = (rate(), rate(), rate());
    let (breaks, errors, refused) = (rate(), rate(), rate());
    let latency_us = *choose(rng, &[0, 400, 20_000]);
    let harmless = StorePlan {
        latency_us,
        resets,
        ..StorePlan::default()
    };
    if rng.bool() {
        return harmless;
    }
    StorePlan {
        silent,
        late,
        breaks,
        errors,
        refused,
        ..harmless
    }
}

fn outages(rng: &mut Rng, span: Duration) -> Vec<Outage> {
    let count = *choose(rng, &[0, 0, 0, 1, 2]);
    let max = u64::try_from(span.as_millis()).unwrap_or_default();
    (0..count)
        .map(|_| {
            let from = milliseconds(rng, max);
            let statuses = [401, 402, 403, 429, 500, 503];
            Outage {
                from,
                until: from.saturating_add(milliseconds(rng, 60_000)),
                place: if rng.bool() {
                    Place::Key(rng.usize(0..2))
                } else {
                    Place::Endpoint(rng.usize(0..2))
                },
                behaviour: match rng.u8(0..4) {
                    0 => Behaviour::Refused,
                    1 => Behaviour::Silent,
                    _ => Behaviour::Status(*choose(rng, &statuses), None),
                },
            }
        })
        .collect()
}

fn faults(rng: &mut Rng, span: Duration) -> Vec<Fault> {
    let count = *choose(rng, &[0, 0, 1, 2, 4]);
    let max = u64::try_from(span.as_millis()).unwrap_or_default();
    (0..count)
        .map(|_| Fault {
            when: if rng.bool() {
                When::At(milliseconds(rng, max))
            } else {
                When::Turn(turns(rng))
            },
            what: strike(rng),
        })
        .collect()
}

fn strike(rng: &mut Rng) -> Strike {
    match rng.u8(0..12) {
        0 | 1 => Strike::Death(rng.usize(0..9)),
        2 => Strike::Deaths,
        3 => Strike::Cancel(rng.usize(0..9)),
        4 => Strike::StoreDown(milliseconds(rng, 10_000)),
        5 => Strike::StoreSilent(milliseconds(rng, 10_000)),
        6 => Strike::StoreLoss,
        7 => Strike::ClockStep(rng.i64(-5_000..5_000)),
        8 => Strike::StoreClockStep(rng.i64(-5_000..=0)),
        9 => Strike::StoreLate(milliseconds(rng, 3_000)),
        10 => Strike::NewConfiguration,
        _ => Strike::BrokenConfiguration,
    }
}

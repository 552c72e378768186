//! Fate: deaths, clocks that jump, and how operations reach the store.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use spillway_platform::Clock as _;
use spillway_platform_sim::{
    Sim, StoreConnectionPast, StoreDelivery, StoreFault, StoreOpening, StoreOperation,
};

use crate::fleet::Fleet;
use crate::history::{Recorder, Struck};
use crate::plan::{Fault, Plan, StorePlan, Strike, When};
use crate::world::store_chance;

/// By which the store's chance differs from the simulation's own.
pub(crate) const SALT: u64 = 0x5851_f42d_4c95_7f2d;

/// Longer than anybody waits for the store, and shorter than a lease.
const LATE: Duration = Duration::from_millis(2_500);

/// Longer than any operation takes that is not held up: a connection so old is not the one by which something is sent
/// again.
const OLD: Duration = Duration::from_secs(1);

/// What a store that is full says, and a replica of one (as redis-rs tells it).
const OUT_OF_MEMORY: &str = "OOM: command not allowed when used memory > 'maxmemory'.";
const READ_ONLY: &str = "READONLY: You can't write against a read only replica.";

/// What plays it. A copy is the same.
#[derive(Clone)]
pub struct Fate {
    plan: Rc<Plan>,
    sim: Sim,
    fleet: Fleet,
    recorder: Recorder,
    store: Rc<Outages>,
}

/// Until when the store is away.
#[derive(Default)]
struct Outages {
    down_until: Cell<Duration>,
    silent_until: Cell<Duration>,
    late_until: Cell<Duration>,
}

impl Fate {
    /// Over one world.
    pub fn new(plan: &Plan, sim: &Sim, fleet: &Fleet, recorder: &Recorder) -> Self {
        Self {
            plan: Rc::new(plan.clone()),
            sim: sim.clone(),
            fleet: fleet.clone(),
            recorder: recorder.clone(),
            store: Rc::default(),
        }
    }

    /// Connections to the store, and every operation on them, go as chance has it.
    pub fn watch_over_store(&self) {
        let StorePlan {
            latency_us,
            silent,
            late,
            resets,
            breaks,
            errors,
            refused,
        } = self.plan.store;
        let (store, sim) = (Rc::clone(&self.store), self.sim.clone());
        let mut chance = store_chance(&self.plan);
        let mut chance_of_openings = chance.fork();
        let open = move || {
            // What stands before a store may still take connections.
            if sim.now() < store.silent_until.get() && hits(&mut chance_of_openings, 500) {
                StoreOpening::Never
            } else if sim.now() < store.down_until.get() || hits(&mut chance_of_openings, refused) {
                StoreOpening::Refused
            } else {
                StoreOpening::After(latency(&mut chance_of_openings, latency_us))
            }
        };
        let (store, sim) = (Rc::clone(&self.store), self.sim.clone());
        let deliver = move |_: &StoreOperation, past: StoreConnectionPast| {
            let rng = &mut chance;
            let mut delivery = StoreDelivery {
                there: latency(rng, latency_us),
                back: latency(rng, latency_us),
                fault: StoreFault::None,
            };
            let is_first = rng.bool();
            let (silence, reset, error) = if is_first {
                (
                    StoreFault::SilentBefore,
                    StoreFault::BreaksBefore,
                    OUT_OF_MEMORY,
                )
            } else {
                (StoreFault::SilentAfter, StoreFault::BreaksAfter, READ_ONLY)
            };
            if hits(rng, late) || sim.now() < store.late_until.get() {
                delivery.there = LATE;
            }
            if hits(rng, errors) {
                delivery.fault = StoreFault::Error(error);
            }
            if hits(rng, breaks) || hits(rng, resets) && past.age >= OLD {
                delivery.fault = reset;
            }
            if hits(rng, silent) || sim.now() < store.silent_until.get() {
                delivery.fault = silence;
            }
            delivery
        };
        self.sim.set_store_network(open, deliver);
    }

    /// Strikes when it is time to.
    pub async fn strike(self, fault: Fault) {
        match fault.when {
            When::At(time) => self.sim.sleep(time).await,
            When::Turn(turn) => {
                if !self.sim.turn(turn).await {
                    return;
                }
            }
        }
        let now = self.sim.time();
        self.recorder.strike(Struck {
            at: self.sim.moment(),
            what: fault.what,
            store_events: self.sim.store_events().len(),
        });
        match fault.what {
            Strike::Death(instance) => self.fleet.kill(instance),
            Strike::Deaths => (0..self.fleet.count()).for_each(|one| self.fleet.kill(one)),
            Strike::Cancel(instance) => self.fleet.cancel(instance),
            Strike::StoreDown(time) => {
                self.store.down_until.set(now.saturating_add(time));
                self.sim.break_store_connections();
            }
            Strike::StoreSilent(time) => self.store.silent_until.set(now.saturating_add(time)),
            Strike::StoreLate(time) => self.store.late_until.set(now.saturating_add(time)),
            Strike::StoreLoss => self.sim.oracle().lose(),
            Strike::ClockStep(milliseconds) => self.sim.set_clock(milliseconds),
            Strike::StoreClockStep(milliseconds) => self.sim.set_store_clock(milliseconds),
            Strike::BrokenConfiguration => {
                self.sim.set_variable("gateway_config", "{");
                self.fleet.renew();
            }
            Strike::NewConfiguration => {
                let wider = self.plan.settings.normal_form(2);
                self.sim.set_variable("gateway_config", &wider);
                self.fleet.renew();
            }
        }
    }
}

fn hits(chance: &mut Rng, rate: u16) -> bool {
    chance.u16(0..1_000) < rate
}

fn latency(chance: &mut Rng, at_most_us: u32) -> Duration {
    Duration::from_micros(u64::from(chance.u32(0..=at_most_us)))
}

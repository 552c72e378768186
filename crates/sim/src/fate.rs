//! Fate: deaths, clocks that jump, and how operations reach the store.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use spillway_platform::Clock as _;
use spillway_platform_sim::{Sim, StoreDelivery};

use crate::fleet::Fleet;
use crate::history::{Recorder, Struck};
use crate::plan::{Fault, Plan, StorePlan, Strike, When};
use crate::world::store_chance;

/// By which the store's chance differs from the simulation's own.
pub(crate) const SALT: u64 = 0x5851_f42d_4c95_7f2d;

/// Longer than anybody waits for the store, and shorter than a lease.
const LATE: Duration = Duration::from_millis(2_500);

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

    /// Every operation of the store fares as chance has it.
    pub fn watch_over_store(&self) {
        let StorePlan {
            latency_us,
            lost,
            lost_answers,
            late,
            twice,
            refused,
        } = self.plan.store;
        let mut chance = store_chance(&self.plan);
        let (store, sim) = (Rc::clone(&self.store), self.sim.clone());
        self.sim.set_store_delivery(move |_| {
            let mut latency = || Duration::from_micros(u64::from(chance.u32(0..=latency_us)));
            let mut delivery = StoreDelivery {
                there: latency(),
                times: 1,
                back: Some(latency()),
                is_refused: sim.now() < store.down_until.get(),
            };
            if sim.now() < store.silent_until.get() {
                delivery.times = u8::from(chance.bool());
                delivery.back = None;
            }
            let mut hits = |rate: u16| chance.u16(0..1_000) < rate;
            if hits(lost) {
                delivery.times = 0;
            }
            if hits(lost_answers) {
                delivery.back = None;
            }
            if hits(late) {
                delivery.there = LATE;
            }
            if hits(twice) {
                delivery.times = delivery.times.saturating_mul(2);
            }
            delivery.is_refused |= hits(refused);
            delivery
        });
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
            Strike::StoreDown(time) => self.store.down_until.set(now.saturating_add(time)),
            Strike::StoreSilent(time) => self.store.silent_until.set(now.saturating_add(time)),
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

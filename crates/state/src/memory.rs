//! The limits' scripts as a model in memory.

mod standings;

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::sub_windows::{self, SUB_WINDOWS, SubWindows};
use spillway_platform::{
    Admission, Admitted, Charge, Charged, LEASE_MS, LeaseName, Mode, NewValues, SETTLEMENT_MS,
    Settled,
};

/// Does what [`LIMIT_CHARGE_V5`](crate::LIMIT_CHARGE_V5) and its fellows do, with a clock that is given to it. For tests:
/// nothing expires here, and another process knows nothing of it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    /// By key and sub-window.
    counts: BTreeMap<String, BTreeMap<u64, u64>>,
    /// By key and lease: when it ends.
    leases: BTreeMap<String, BTreeMap<String, u64>>,
    /// By key and lease: how much is reserved, and when that ends.
    reserved: BTreeMap<String, BTreeMap<String, (u64, u64)>>,
    /// By client and second: what its new values cost.
    costs: BTreeMap<(String, u64), u64>,
    /// The names of settlements, and until when they are remembered.
    settled: BTreeMap<String, u64>,
}

/// One rule, read.
struct Read {
    /// `None` for what is in flight.
    windows: Option<SubWindows>,
    used: u64,
    reserved: u64,
    full: bool,
}

impl MemoryStore {
    /// Charges a request by every rule, or by none.
    pub fn admit(&mut self, now_ms: u64, asked: Admission<'_>) -> Admitted {
        let Admission {
            charges,
            lease,
            new_values,
        } = asked;
        self.take_back_reservations(now_ms, charges);
        let has_passed = charges.iter().any(|it| self.has_entry(now_ms, it, lease));
        let mut read: Vec<Read> = charges
            .iter()
            .map(|it| self.read_rule(now_ms, it))
            .collect();
        if has_passed {
            for (charge, read) in charges.iter().zip(&mut read) {
                let is_full = charge.is_in_flight() && read.used >= charge.limit;
                read.full = is_full && !self.has_entry(now_ms, charge, lease);
            }
        }
        let rules = || charges.iter().zip(&read);
        let mut passes = has_passed || rules().all(|(charge, read)| charge.dry_run || !read.full);
        let new: Vec<&Charge> = rules()
            .filter(|(charge, read)| !has_passed && charge.cost_when_new() > 0 && read.used == 0)
            .map(|(charge, _)| charge)
            .collect();
        let cost = new.iter().map(|it| u64::from(it.cost_when_new())).max();
        let too_many = passes && self.costs_too_much(now_ms, cost, new_values);
        let too_many_new = too_many && new.iter().any(|charge| !charge.dry_run);
        passes &= !too_many_new;
        let charges_now = passes && !has_passed;
        let charged = charges.iter().zip(read).map(|(charge, read)| {
            let is_new = charge.cost_when_new() > 0 && read.used == 0 && !has_passed;
            let passed_over = too_many && is_new && passes && !read.full;
            let is_charged = charges_now && !read.full && !passed_over;
            let Some(mut windows) = read.windows else {
                if is_charged {
                    self.lease(now_ms, &charge.key, lease);
                }
                let used = read.used.saturating_add(u64::from(is_charged));
                return Charged {
                    used,
                    remaining: charge.limit.saturating_sub(used),
                    full: read.full,
                    ..Charged::default()
                };
            };
            let mut reserved = read.reserved;
            if is_charged && charge.is_reserved() {
                self.forget_outdated(charge, windows.current());
                self.reserve(now_ms, charge, lease);
                reserved = reserved.saturating_add(charge.cost);
            } else if is_charged {
                let count = windows.current_count().saturating_add(charge.cost);
                windows.set_current(count);
                self.write(charge, windows.current(), count);
            }
            Charged {
                passed_over,
                ..windows.charged(now_ms, charge, reserved, read.full)
            }
        });
        Admitted {
            passes,
            too_many_new,
            charges: charged.collect(),
        }
    }

    /// The same without a lease, and without a bound on new values.
    pub fn charge(&mut self, now_ms: u64, charges: &[Charge]) -> Admitted {
        self.charge_bounded(now_ms, charges, None)
    }

    /// The same with one.
    pub fn charge_bounded(
        &mut self,
        now_ms: u64,
        charges: &[Charge],
        new_values: Option<&NewValues>,
    ) -> Admitted {
        let asked = Admission {
            charges,
            lease: &LeaseName(String::new()),
            new_values,
        };
        self.admit(now_ms, asked)
    }

    fn read_rule(&self, now_ms: u64, charge: &Charge) -> Read {
        let windows = charge
            .window_ms()
            .map(|window| self.read(now_ms, charge, window));
        let reserved = self.reserved_of(&charge.key);
        let used = match &windows {
            Some(windows) => windows.used().saturating_add(reserved),
            None => self.in_flight(now_ms, &charge.key),
        };
        Read {
            full: used.saturating_add(charge.cost.max(1)) > charge.limit,
            used,
            reserved,
            windows,
        }
    }

    /// Books what a request's new values cost, unless that is too much.
    fn costs_too_much(
        &mut self,
        now_ms: u64,
        cost: Option<u64>,
        new_values: Option<&NewValues>,
    ) -> bool {
        let (Some(cost), Some(new_values)) = (cost, new_values) else {
            return false;
        };
        let second = now_ms.checked_div(1000).unwrap_or_default();
        let costs = self.costs.entry((new_values.key.clone(), second));
        let costs = costs.or_default();
        let sum = costs.saturating_add(cost);
        if sum > u64::from(new_values.allowance) {
            return true;
        }
        *costs = sum;
        false
    }

    /// Has charges come to what they are in truth, once for each name.
    pub fn settle(&mut self, now_ms: u64, settled: &[Settled], name: &LeaseName) {
        self.settled.retain(|_, until| *until > now_ms);
        let until = now_ms.saturating_add(SETTLEMENT_MS);
        if self.settled.contains_key(&name.0) {
            // What was reserved since, by an admission that came late, is given back.
            let reserved = settled.iter().filter(|it| it.charge.is_reserved());
            for Settled { charge, .. } in reserved {
                if let Some(of_key) = self.reserved.get_mut(&charge.key)
                    && of_key
                        .get(&name.0)
                        .is_some_and(|(amount, _)| *amount == charge.cost)
                {
                    of_key.remove(&name.0);
                }
            }
            return;
        }
        self.settled.insert(name.0.clone(), until);
        for Settled {
            charge,
            sub_window,
            actual,
        } in settled
        {
            if charge.is_reserved() {
                self.settle_reserved(now_ms, charge, *actual, name);
                continue;
            }
            let Some(counts) = self.counts.get_mut(&charge.key) else {
                continue;
            };
            if let Some(count) = counts.get_mut(sub_window) {
                let with = count.saturating_add(*actual);
                *count = with.saturating_sub(charge.cost);
            }
            counts.retain(|_, count| *count > 0);
        }
    }

    /// Renews a lease.
    pub fn renew(&mut self, now_ms: u64, charges: &[Charge], lease: &LeaseName) {
        let settled = self.settled.get(&lease.0);
        let is_settled = settled.is_some_and(|until| *until > now_ms);
        for charge in charges {
            if charge.is_in_flight() {
                self.lease(now_ms, &charge.key, lease);
            } else if !is_settled {
                self.reserve(now_ms, charge, lease);
            }
        }
    }

    /// Gives a lease up.
    pub fn release(&mut self, in_flight: &[Charge], lease: &LeaseName) {
        for charge in in_flight {
            if let Some(leases) = self.leases.get_mut(&charge.key) {
                leases.remove(&lease.0);
            }
        }
    }

    /// How many leases each key has, those among them that have ended by themselves.
    pub fn leases(&self) -> Vec<(String, usize)> {
        let leases = self.leases.iter().filter(|(_, leases)| !leases.is_empty());
        leases
            .map(|(key, leases)| (key.clone(), leases.len()))
            .collect()
    }

    /// What is reserved, by key: those of holders that died among it, until somebody asks there.
    pub fn reserved(&self) -> Vec<(String, u64)> {
        let keys = self.reserved.keys();
        let reserved = keys.map(|key| (key.clone(), self.reserved_of(key)));
        reserved.filter(|(_, amount)| *amount > 0).collect()
    }

    /// What is charged, by key, in all of its sub-windows.
    pub fn charged(&self) -> Vec<(String, u64)> {
        let counts = self.counts.iter();
        counts
            .map(|(key, counts)| (key.clone(), counts.values().sum()))
            .collect()
    }

    /// A request whose lease is there is one that was sent again: it has passed, and is charged nothing more.
    fn has_entry(&self, now_ms: u64, charge: &Charge, lease: &LeaseName) -> bool {
        let key = &charge.key;
        match charge.mode {
            Mode::Count { .. } => false,
            Mode::Reserve { .. } => {
                let reserved = self.reserved.get(key).and_then(|of| of.get(&lease.0));
                reserved.is_some_and(|(amount, _)| *amount == charge.cost)
            }
            Mode::InFlight => {
                let until = self.leases.get(key).and_then(|of| of.get(&lease.0));
                until.is_some_and(|until| *until > now_ms)
            }
        }
    }

    fn reserve(&mut self, now_ms: u64, charge: &Charge, lease: &LeaseName) {
        if charge.cost > 0 {
            let reserved = self.reserved.entry(charge.key.clone()).or_default();
            let until = now_ms.saturating_add(LEASE_MS);
            reserved.insert(lease.0.clone(), (charge.cost, until));
        }
    }

    fn reserved_of(&self, key: &str) -> u64 {
        let reserved = self
            .reserved
            .get(key)
            .into_iter()
            .flat_map(BTreeMap::values);
        reserved.map(|(amount, _)| *amount).sum()
    }

    /// What holders that died had reserved.
    fn take_back_reservations(&mut self, now_ms: u64, charges: &[Charge]) {
        for charge in charges {
            if let Some(reserved) = self.reserved.get_mut(&charge.key) {
                reserved.retain(|_, (_, until)| *until > now_ms);
            }
        }
    }

    /// Charges now what was reserved under this name, or would be still.
    fn settle_reserved(&mut self, now_ms: u64, charge: &Charge, actual: u64, name: &LeaseName) {
        if let Some(reserved) = self.reserved.get_mut(&charge.key) {
            reserved.remove(&name.0);
        }
        if actual > 0 {
            let windows = self.read(now_ms, charge, charge.window_ms().unwrap_or(1));
            let count = windows.current_count().saturating_add(actual);
            self.write(charge, windows.current(), count);
        }
    }

    fn in_flight(&self, now_ms: u64, key: &str) -> u64 {
        let leases = self.leases.get(key).into_iter().flat_map(BTreeMap::values);
        let running = leases.filter(|until| **until > now_ms).count();
        u64::try_from(running).unwrap_or(u64::MAX)
    }

    fn lease(&mut self, now_ms: u64, key: &str, lease: &LeaseName) {
        self.leases
            .entry(key.to_owned())
            .or_default()
            .insert(lease.0.clone(), now_ms.saturating_add(LEASE_MS));
    }

    /// How many sub-windows a key has. Never more than seven, however long it is used.
    pub fn sub_windows(&self, key: &str) -> usize {
        self.counts.get(key).map_or(0, BTreeMap::len)
    }

    fn read(&self, now_ms: u64, charge: &Charge, window_ms: u64) -> SubWindows {
        let counts = self.counts.get(&charge.key);
        let clock = sub_windows::index(now_ms, window_ms);
        // After a small step back of the clock the newest sub-window stays the current one.
        let newest = counts
            .into_iter()
            .flat_map(BTreeMap::keys)
            .copied()
            .filter(|index| *index <= clock.saturating_add(SUB_WINDOWS))
            .max();
        let current = newest.map_or(clock, |newest| newest.max(clock));
        let count = |index| counts.and_then(|counts| counts.get(&index)).copied();
        let read = SubWindows::read(window_ms, current, |index| {
            Ok::<_, Infallible>(count(index).unwrap_or(0))
        });
        match read {
            Ok(read) => read,
        }
    }

    fn write(&mut self, charge: &Charge, current: u64, count: u64) {
        self.forget_outdated(charge, current);
        let counts = self.counts.entry(charge.key.clone()).or_default();
        counts.insert(current, count);
    }

    fn forget_outdated(&mut self, charge: &Charge, current: u64) {
        if let Some(counts) = self.counts.get_mut(&charge.key) {
            let oldest = current.saturating_sub(SUB_WINDOWS);
            counts.retain(|index, _| (oldest..=current).contains(index));
        }
    }
}

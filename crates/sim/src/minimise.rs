//! The smallest plan in which the same does not hold.
//!
//! Requests and faults are taken out, halves first and then one by one, and what is left is made simpler, for as long as
//! the same invariant is violated. It need not be the smallest there is.

use std::time::{Duration, Instant};

use crate::invariants::violations;
use crate::plan::{Behaviour, BodyPlan, Plan, StorePlan};
use crate::world::run;

/// A smaller plan that violates this invariant as well, found in about this time. `told` is told of each run.
pub fn minimise(plan: &Plan, invariant: &str, time: Duration, told: impl FnMut(&Plan)) -> Plan {
    let mut search = Search {
        smallest: plan.clone(),
        invariant,
        until: Instant::now().checked_add(time),
        told,
    };
    loop {
        let before = search.smallest.clone();
        search.without_requests();
        search.without_faults();
        search.without_outages();
        search.simpler();
        if search.smallest == before || search.is_over() {
            return search.smallest;
        }
    }
}

struct Search<'i, F> {
    smallest: Plan,
    invariant: &'i str,
    until: Option<Instant>,
    told: F,
}

impl<F: FnMut(&Plan)> Search<'_, F> {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Takes a plan if it violates the same.
    fn attempt(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.smallest.clone();
        change(&mut plan);
        if plan == self.smallest || self.is_over() {
            return false;
        }
        (self.told)(&self.smallest);
        let found = violations(&run(&plan));
        let is_the_same = found.iter().any(|one| one.invariant == self.invariant);
        if is_the_same {
            self.smallest = plan;
        }
        is_the_same
    }

    fn without_requests(&mut self) {
        let mut size = self.smallest.requests.len().div_ceil(2);
        while size > 0 {
            let mut from = 0_usize;
            while from < self.smallest.requests.len() {
                let to = from.saturating_add(size).min(self.smallest.requests.len());
                let is_gone = self.attempt(|plan| drop(plan.requests.drain(from..to)));
                if !is_gone {
                    from = to;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn without_faults(&mut self) {
        let mut index = 0_usize;
        while index < self.smallest.faults.len() {
            let remove = |plan: &mut Plan| {
                plan.faults.remove(index);
            };
            if !self.attempt(remove) {
                index = index.saturating_add(1);
            }
        }
    }

    fn without_outages(&mut self) {
        let mut index = 0_usize;
        while index < self.smallest.outages.len() {
            let remove = |plan: &mut Plan| {
                plan.outages.remove(index);
            };
            if !self.attempt(remove) {
                index = index.saturating_add(1);
            }
        }
    }

    fn simpler(&mut self) {
        self.attempt(|plan| plan.store = StorePlan::default());
        self.attempt(|plan| plan.store.latency_us = 0);
        self.attempt(|plan| plan.store.silent = 0);
        self.attempt(|plan| plan.store.late = 0);
        self.attempt(|plan| plan.store.resets = 0);
        self.attempt(|plan| plan.store.breaks = 0);
        self.attempt(|plan| plan.store.errors = 0);
        self.attempt(|plan| plan.store.refused = 0);
        self.attempt(|plan| plan.settings.probes = Behaviour::Well);
        self.attempt(|plan| plan.settings.instances = 1);
        self.attempt(|plan| plan.settings.calls_a_second = None);
        self.attempt(|plan| plan.settings.dry_run = false);
        self.attempt(|plan| plan.settings.refused_goes_on = false);
        self.attempt(|plan| plan.settings.keys = 1);
        self.attempt(|plan| plan.settings.endpoints = 1);
        self.attempt(|plan| plan.settings.has_second = false);
        for index in 0..self.smallest.requests.len() {
            let mut change = |change: fn(&mut crate::plan::RequestPlan)| {
                self.attempt(|plan| {
                    if let Some(request) = plan.requests.get_mut(index) {
                        change(request);
                    }
                });
            };
            change(|request| request.leaves = None);
            change(|request| request.pause = Duration::ZERO);
            change(|request| request.body = BodyPlan::Whole);
            change(|request| request.padding = 0);
            change(|request| request.nonce = request.number);
            change(|request| request.behaviours.clear());
            change(|request| {
                if let Some(first) = request.behaviours.first_mut() {
                    *first = Behaviour::Well;
                }
            });
            change(|request| request.behaviours.truncate(1));
        }
    }
}

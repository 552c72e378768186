//! What calls have used of tokens in any window is at most the limit and what calls that were in flight together have used
//! above their reservations.
//!
//! Of each call that is settled as much as it had reserved without a break since its admission is what the limit promises;
//! the rest is excess. A ledger of its own keeps it, which knows nothing of sub-windows.

use std::collections::{BTreeMap, BTreeSet};

use spillway_platform::LEASE_MS;
use spillway_platform_sim::{StoreAnswer, StoreOperation};

use super::limits::shortest_window_ms;
use crate::history::History;
use crate::plan::Strike;

/// By key and lease: how much is reserved, and until when.
type Reservations = BTreeMap<(String, String), (u64, u128)>;

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut reserved = Reservations::new();
    let mut used: BTreeMap<String, Vec<(u128, u64)>> = BTreeMap::new();
    // Of two versions of the configuration the wider one's.
    let mut limits: BTreeMap<String, u64> = BTreeMap::new();
    let mut settled_names = BTreeSet::new();
    let losses: BTreeSet<usize> = history
        .strikes
        .iter()
        .filter(|struck| struck.what == Strike::StoreLoss)
        .map(|struck| struck.store_events)
        .collect();
    // A clock that has stepped has forgotten, or is told what is over.
    let has_stepped = shortest_window_ms(history) > 0;
    if has_stepped {
        return wrong;
    }
    for (index, event) in history.store.iter().enumerate() {
        if losses.contains(&index) {
            reserved.clear();
            used.clear();
        }
        let now = event.since_1970.as_millis();
        let until = now.saturating_add(u128::from(LEASE_MS));
        match (&event.operation, &event.answer) {
            (StoreOperation::Admit { charges, lease, .. }, Ok(StoreAnswer::Admitted(admitted)))
                if admitted.passes =>
            {
                let charges = charges.iter().zip(&admitted.charges);
                for (charge, _) in
                    charges.filter(|(charge, charged)| charge.is_reserved() && !charged.full)
                {
                    let limit = limits.entry(charge.key.clone()).or_default();
                    *limit = charge.limit.max(*limit);
                    let name = (charge.key.clone(), lease.0.clone());
                    reserved.entry(name).or_insert((charge.cost, until));
                }
            }
            (StoreOperation::Renew(charges, lease), Ok(_)) => {
                for charge in charges.iter().filter(|charge| charge.is_reserved()) {
                    let name = (charge.key.clone(), lease.0.clone());
                    if let Some((_, end)) = reserved.get_mut(&name)
                        && *end > now
                    {
                        *end = until;
                    }
                }
            }
            (StoreOperation::Settle(settled, name), Ok(_))
                if settled_names.insert(name.0.clone()) =>
            {
                for one in settled.iter().filter(|one| one.charge.is_reserved()) {
                    let charge = &one.charge;
                    let of_it = reserved.remove(&(charge.key.clone(), name.0.clone()));
                    let promised = of_it.filter(|(_, end)| *end > now);
                    let promised = promised.map_or(0, |(amount, _)| amount.min(one.actual));
                    let of_key = used.entry(charge.key.clone()).or_default();
                    of_key.push((now, promised));
                    let window = u128::from(charge.window_ms().unwrap_or_default());
                    let since = now.saturating_sub(window);
                    let within = of_key.iter().filter(|(at, _)| *at > since);
                    let sum: u64 = within.map(|(_, amount)| *amount).sum();
                    let limit = limits.get(&charge.key).copied().unwrap_or_default();
                    if sum > limit && !charge.dry_run {
                        wrong.push(format!(
                            "{sum} tokens that were reserved were used within the {window} ms until {now} under {}, where {} may be",
                            charge.key, limit
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    wrong
}

//! What the store did, in words.

use spillway_platform::{Admitted, Charge, LeaseName, Mode, PoolEntry, StateError};
use spillway_platform_sim::{StoreAnswer, StoreEvent, StoreOperation};

/// So much of a name tells it from others.
const SHOWN: usize = 8;

/// One operation and its answer, in a line.
pub fn in_words(event: &StoreEvent) -> String {
    let answer = match &event.answer {
        Ok(answer) => answer,
        Err(StateError { message, .. }) => {
            return format!("{} fails: {message}", event.operation.name());
        }
    };
    match &event.operation {
        StoreOperation::Admit { charges, lease, .. } => admit(charges, lease, answer),
        StoreOperation::Settle(settled, _) => {
            let settled = settled.iter().map(|one| {
                let Charge { key, cost, .. } = &one.charge;
                format!("{} from {cost} to {}", name(key), one.actual)
            });
            format!("settles {}", list(settled))
        }
        StoreOperation::Renew(charges, lease) => format!("renews {}", places(charges, lease)),
        StoreOperation::Release(charges, lease) => {
            format!("takes back {}", places(charges, lease))
        }
        StoreOperation::PoolRead(providers) => match answer {
            StoreAnswer::Pools(pools) => {
                let entries = pools.iter().flatten().map(pool_entry);
                format!("tells of {}: {}", providers.join(", "), list(entries))
            }
            other => format!("tells of {}: {other:?}", providers.join(", ")),
        },
        StoreOperation::PoolWrite { provider, name, to } => match to {
            Some((state, time)) => format!("notes of {provider}: {name} {state} for {time} ms"),
            None => format!("notes of {provider}: {name} well again"),
        },
        StoreOperation::ClaimProbe(provider, key) => {
            format!(
                "is asked for the probe of {provider}'s {key}: {}",
                claimed(answer)
            )
        }
        StoreOperation::ClaimNonce { nonce, .. } => {
            format!(
                "is asked for the nonce {}: {}",
                short(nonce),
                claimed(answer)
            )
        }
        StoreOperation::ObserveUsage(name, amount) => {
            format!("notes {amount} tokens for {}", short(name))
        }
        StoreOperation::UsageProfile(name) => match answer {
            StoreAnswer::Usage(Some(profile)) => format!(
                "tells of {}: {} calls, 95 % of at most {} tokens",
                short(name),
                profile.calls,
                profile.p95
            ),
            other => format!("tells of {}: {other:?}", short(name)),
        },
        StoreOperation::AddTotals(_, amounts) => format!("adds to {} totals", amounts.len()),
        StoreOperation::IndexLimits(limits) => format!("is told of {} limits", limits.len()),
        StoreOperation::IndexedLimits => match answer {
            StoreAnswer::Indexed(limits) => format!("tells of {} limits", limits.len()),
            other => format!("tells of limits: {other:?}"),
        },
        StoreOperation::ReadLimits(charges) => {
            let keys = charges.iter().map(|charge| name(&charge.key).to_owned());
            format!("tells where {} stand", list(keys))
        }
        StoreOperation::Totals(_) => match answer {
            StoreAnswer::Totals(totals) => format!("tells {} totals", totals.len()),
            other => format!("tells totals: {other:?}"),
        },
        StoreOperation::Probe => "is probed".to_owned(),
    }
}

fn admit(charges: &[Charge], lease: &LeaseName, answer: &StoreAnswer) -> String {
    let StoreAnswer::Admitted(Admitted {
        passes,
        too_many_new,
        charges: charged,
    }) = answer
    else {
        return format!("is asked to admit, and says {answer:?}");
    };
    let verb = match (passes, too_many_new) {
        (_, true) => "refuses, as too much is new,",
        (true, _) => "admits",
        (false, _) => "refuses",
    };
    let each = charges.iter().zip(charged).map(|(charge, charged)| {
        let full = if charged.full { ", full" } else { "" };
        let dry = if charge.dry_run { ", counts only" } else { "" };
        let Charge { key, limit, .. } = charge;
        format!("{} {} of {limit}{full}{dry}", name(key), charged.used)
    });
    let lease = if lease.0.is_empty() {
        String::new()
    } else {
        format!(", lease {}", short(&lease.0))
    };
    format!("{verb} {}{lease}", list(each))
}

fn places(charges: &[Charge], lease: &LeaseName) -> String {
    let keys = charges.iter().map(|charge| match charge.mode {
        Mode::InFlight => name(&charge.key),
        Mode::Count { window_ms, .. } => format!("{} of {window_ms} ms", name(&charge.key)),
        Mode::Reserve { window_ms, .. } => {
            let (key, cost) = (name(&charge.key), charge.cost);
            format!("{cost} reserved of {key} of {window_ms} ms")
        }
    });
    format!("lease {} of {}", short(&lease.0), list(keys))
}

fn pool_entry(entry: &PoolEntry) -> String {
    let PoolEntry {
        name,
        state,
        rest_ms,
        ..
    } = entry;
    format!("{name} {state} for {rest_ms} ms")
}

const fn claimed(answer: &StoreAnswer) -> &'static str {
    match answer {
        StoreAnswer::Claimed(true) => "granted",
        _ => "refused",
    }
}

/// The digest's first digits, and what it is counted by.
fn name(key: &str) -> String {
    let mut parts = key.rsplit(':');
    let (by, digest) = (parts.next().unwrap_or_default(), parts.next());
    format!("{}:{by}", short(digest.unwrap_or_default()))
}

fn short(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

fn list(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        return "nothing".to_owned();
    }
    parts.join("; ")
}

//! No secret of a provider reaches a client, a line of the log, a metric or another provider; no consumer's key a
//! provider; and nobody is told what was meant for another.

use memchr::memmem;
use spillway_platform_sim::StoreOperation;

use crate::content::marks;
use crate::history::{Asked, History};
use crate::plan::Api;
use crate::settings::{CONSUMER_SECRET, PROVIDER_SECRET};

pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for outcome in &history.outcomes {
        let Some(answer) = outcome.answer() else {
            continue;
        };
        let number = outcome.number;
        let mut bytes = Vec::new();
        for (name, value) in answer.headers.iter() {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value);
        }
        // The body of a 200 of a file or a stored response goes on as it is, unread.
        let is_unread = is_passed_on(history, number) && answer.status == 200;
        let told = if is_unread { &[] } else { &*answer.body };
        for secret in [PROVIDER_SECRET, CONSUMER_SECRET] {
            if contains(&bytes, secret) || contains(told, secret) {
                wrong.push(format!(
                    "the answer of request {number} has a key in it: {secret}…"
                ));
            }
        }
        bytes.extend_from_slice(&answer.body);
        let others: Vec<u32> = marks(&bytes)
            .into_iter()
            .filter(|mark| *mark != number)
            .collect();
        if !others.is_empty() {
            wrong.push(format!(
                "the answer of request {number} has something of {others:?} in it"
            ));
        }
    }
    for (_, line) in &history.log {
        if contains(line.as_bytes(), PROVIDER_SECRET) || contains(line.as_bytes(), CONSUMER_SECRET)
        {
            wrong.push(format!("the log has a key in it: {line}"));
        }
    }
    for (series, _) in &history.totals {
        if contains(series.as_bytes(), PROVIDER_SECRET)
            || contains(series.as_bytes(), CONSUMER_SECRET)
        {
            wrong.push(format!("a metric has a key in it: {series}"));
        }
    }
    for asked in &history.asked {
        wrong.extend(sent(asked));
    }
    for event in &history.store {
        wrong.extend(stored(&event.operation));
    }
    wrong
}

/// What stands in the store others can read.
fn stored(operation: &StoreOperation) -> Option<String> {
    let names: Vec<&str> = match operation {
        StoreOperation::Admit { charges, .. } => {
            charges.iter().map(|charge| charge.key.as_str()).collect()
        }
        StoreOperation::PoolWrite { name, .. } => vec![name],
        StoreOperation::ClaimProbe(provider, key) => vec![provider, key],
        StoreOperation::ClaimNonce { nonce, .. } => vec![nonce],
        StoreOperation::ObserveUsage(name, _) => vec![name],
        StoreOperation::AddTotals(_, amounts) => {
            amounts.iter().map(|(series, _)| series.as_str()).collect()
        }
        StoreOperation::IndexLimits(limits) => limits
            .iter()
            .flat_map(|limit| [limit.key.as_str(), limit.description.as_str()])
            .collect(),
        _ => Vec::new(),
    };
    let has_secret = |name: &&&str| {
        contains(name.as_bytes(), PROVIDER_SECRET) || contains(name.as_bytes(), CONSUMER_SECRET)
    };
    let found = names.iter().find(has_secret)?;
    Some(format!("the store has a key in it: {found}"))
}

fn is_passed_on(history: &History, number: u32) -> bool {
    let plan = history.request(number);
    plan.is_some_and(|plan| matches!(plan.api, Api::File | Api::Response))
}

fn sent(asked: &Asked) -> Option<String> {
    let mut bytes = asked.request.path_and_query.clone().into_bytes();
    for (name, value) in asked.request.headers.iter() {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value);
    }
    bytes.extend_from_slice(&asked.request.body);
    let to = &asked.request.authority;
    if contains(&bytes, CONSUMER_SECRET) {
        return Some(format!("a consumer's key went to {to}"));
    }
    let name = to.split([':', '0', '1', '2']).next().unwrap_or_default();
    let own = format!("{PROVIDER_SECRET}{name}");
    let text = String::from_utf8_lossy(&bytes).replace(&own, "");
    text.contains(PROVIDER_SECRET)
        .then(|| format!("another's key went to {to}"))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memmem::find(bytes, text.as_bytes()).is_some()
}

//! What is signed with one nonce is let through once.

use std::collections::BTreeMap;

use crate::history::History;
use crate::plan::{Kind, Persona};

pub(super) fn check(history: &History) -> Vec<String> {
    // Where the store does not tell, the configuration says whether one passes; what it has lost it cannot tell.
    if history.plan.has_store_faults() {
        return Vec::new();
    }
    let mut let_through: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for request in &history.plan.requests {
        let is_signed = request.caller == Persona::Signer && request.api.kind() == Kind::Model;
        if is_signed && history.attempts(request.number).next().is_some() {
            let of_nonce = let_through.entry(request.nonce).or_default();
            of_nonce.push(request.number);
        }
    }
    let repeated = let_through.iter().filter(|(_, numbers)| numbers.len() > 1);
    repeated
        .map(|(nonce, numbers)| {
            format!("requests {numbers:?}, signed with the nonce of {nonce}, were all let through")
        })
        .collect()
}

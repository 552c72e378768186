//! The metrics that there are; `families.rs` has name, labels, kind and help of each, once.

use crate::Label;
use crate::families::FAMILIES;

/// No family has more labels.
pub(crate) const MAX_LABELS: usize = 6;

/// The values of a series' labels, in the order of its family; the rest is empty.
pub(crate) type Labels = [Label; MAX_LABELS];

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Runs of Dify apps.
    AgentRuns,
    /// Tokens of runs.
    AgentTokens,
    /// Requests to knowledge APIs.
    KnowledgeRequests,
    /// Requests after which a limit was nearly used up.
    LimitsNear,
    /// Attempts at targets.
    ModelAttempts,
    /// Until a stream's first content.
    ModelFirstToken,
    /// Calls that were not sent again.
    ModelRetriesRefused,
    /// Tokens of model calls.
    ModelTokens,
    /// Endpoints and credentials that were ejected.
    ProviderTransitions,
    /// What rules said.
    RateLimits,
    /// How long requests took.
    RequestDuration,
    /// Requests.
    Requests,
    /// Verdicts that came too late.
    StateLate,
    /// The store, left alone or taken back.
    StateTransitions,
    /// Tokens under token limits.
    TokenLimits,
}

/// What a family's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyKind {
    /// It only grows.
    Counter,
    /// Of durations.
    Histogram,
}

/// How a family stands in Prometheus' text form.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// The family.
    pub family: Family,
    /// Its name.
    pub name: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What its values are.
    pub kind: FamilyKind,
    /// One sentence.
    pub help: &'static str,
}

/// A name for the totals of just these families with just these labels: 64 bits of FNV-1a in hexadecimal digits. Another
/// release, whose series have other labels, has other totals.
pub fn totals_version() -> String {
    let texts = FAMILIES
        .iter()
        .flat_map(|family| std::iter::once(family.name).chain(family.labels.iter().copied()));
    let hash = texts
        .flat_map(|text| text.bytes().chain([b'\n']))
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

pub(crate) fn definition(family: Family) -> Option<&'static Definition> {
    FAMILIES.iter().find(|known| known.family == family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_stands_once_in_order() {
        assert!(FAMILIES.is_sorted_by(|one, next| one.family < next.family));
        assert!(FAMILIES.is_sorted_by(|one, next| one.name < next.name));
        assert!(FAMILIES.iter().all(|one| one.labels.len() <= MAX_LABELS));
        assert_eq!(totals_version().len(), 16);
    }
}

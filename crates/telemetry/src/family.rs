//! The metrics that there are: name, labels, kind and help of each, once.

use crate::Label;

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
    /// Attempts at targets.
    ModelAttempts,
    /// Until a stream's first content.
    ModelFirstToken,
    /// Calls that were not sent again.
    ModelRetriesRefused,
    /// Tokens of model calls.
    ModelTokens,
    /// Endpoints and credentials that were set aside.
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
}

/// What a family's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
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
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
}

/// All families, by name. In the order of [`Family`].
pub const FAMILIES: [Definition; 13] = [
    Definition {
        family: Family::AgentRuns,
        name: "spillway_agent_runs_total",
        labels: &["name", "app", "mode", "outcome"],
        kind: Kind::Counter,
        help: "Runs of Dify apps, by how they ended.",
    },
    Definition {
        family: Family::AgentTokens,
        name: "spillway_agent_tokens_total",
        labels: &["name", "app", "kind"],
        kind: Kind::Counter,
        help: "Tokens that runs took, as Dify told them.",
    },
    Definition {
        family: Family::KnowledgeRequests,
        name: "spillway_knowledge_requests_total",
        labels: &["name", "backend", "outcome"],
        kind: Kind::Counter,
        help: "Requests to knowledge APIs, by how they ended.",
    },
    Definition {
        family: Family::ModelAttempts,
        name: "spillway_model_attempts_total",
        labels: &["name", "provider", "model", "outcome"],
        kind: Kind::Counter,
        help: "Attempts at a target, by how they ended.",
    },
    Definition {
        family: Family::ModelFirstToken,
        name: "spillway_model_first_token_seconds",
        labels: &["name", "provider", "model"],
        kind: Kind::Histogram,
        help: "From a call's arrival to its stream's first content.",
    },
    Definition {
        family: Family::ModelRetriesRefused,
        name: "spillway_model_retries_refused_total",
        labels: &["name", "reason"],
        kind: Kind::Counter,
        help: "Calls that failed and were not sent again although more might have been tried, by why.",
    },
    Definition {
        family: Family::ModelTokens,
        name: "spillway_model_tokens_total",
        labels: &["name", "provider", "model", "consumer", "kind"],
        kind: Kind::Counter,
        help: "Tokens as providers reported them.",
    },
    Definition {
        family: Family::ProviderTransitions,
        name: "spillway_provider_transitions_total",
        labels: &["provider", "kind", "to"],
        kind: Kind::Counter,
        help: "Endpoints and keys of providers that were set aside, or are used again.",
    },
    Definition {
        family: Family::RateLimits,
        name: "spillway_rate_limit_requests_total",
        labels: &["rule", "verdict"],
        kind: Kind::Counter,
        help: "Requests under a rate-limit rule, by what it said.",
    },
    Definition {
        family: Family::RequestDuration,
        name: "spillway_request_duration_seconds",
        labels: &["api", "name"],
        kind: Kind::Histogram,
        help: "From a request's arrival to its answer's head (ingress, unless the answer is read along) or end.",
    },
    Definition {
        family: Family::Requests,
        name: "spillway_requests_total",
        labels: &["api", "name", "route", "status", "reason"],
        kind: Kind::Counter,
        help: "Finished requests, by API, route, status and reason.",
    },
    Definition {
        family: Family::StateLate,
        name: "spillway_state_late_total",
        labels: &[],
        kind: Kind::Counter,
        help: "Requests that were decided without the store's verdict because it came too late.",
    },
    Definition {
        family: Family::StateTransitions,
        name: "spillway_state_transitions_total",
        labels: &["to"],
        kind: Kind::Counter,
        help: "How often instances left the store alone, and took it back into use.",
    },
];

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

//! The table of metrics.

use crate::{Definition, Family, FamilyKind};

/// All families, by name. In the order of [`Family`].
pub const FAMILIES: [Definition; 15] = [
    Definition {
        family: Family::AgentRuns,
        name: "spillway_agent_runs_total",
        labels: &["name", "app", "mode", "outcome"],
        kind: FamilyKind::Counter,
        help: "Runs of Dify apps, by how they ended.",
    },
    Definition {
        family: Family::AgentTokens,
        name: "spillway_agent_tokens_total",
        labels: &["name", "app", "kind"],
        kind: FamilyKind::Counter,
        help: "Tokens that runs took, as Dify told them.",
    },
    Definition {
        family: Family::KnowledgeRequests,
        name: "spillway_knowledge_requests_total",
        labels: &["name", "backend", "outcome"],
        kind: FamilyKind::Counter,
        help: "Requests to knowledge APIs, by how they ended.",
    },
    Definition {
        family: Family::LimitsNear,
        name: "spillway_limits_near_total",
        labels: &["rule"],
        kind: FamilyKind::Counter,
        help: "Requests that passed and after which four fifths of a limit were used up or reserved.",
    },
    Definition {
        family: Family::ModelAttempts,
        name: "spillway_model_attempts_total",
        labels: &["name", "provider", "model", "outcome"],
        kind: FamilyKind::Counter,
        help: "Attempts at a target, by how they ended.",
    },
    Definition {
        family: Family::ModelFirstToken,
        name: "spillway_model_first_token_seconds",
        labels: &["name", "provider", "model"],
        kind: FamilyKind::Histogram,
        help: "From a call's arrival to its stream's first content.",
    },
    Definition {
        family: Family::ModelRetriesRefused,
        name: "spillway_model_retries_refused_total",
        labels: &["name", "reason"],
        kind: FamilyKind::Counter,
        help: "Calls that failed and were not sent again although more might have been tried, by why.",
    },
    Definition {
        family: Family::ModelTokens,
        name: "spillway_model_tokens_total",
        labels: &["name", "provider", "model", "consumer", "kind"],
        kind: FamilyKind::Counter,
        help: "Tokens as providers reported them; those that none did, estimated, are of a kind of their own.",
    },
    Definition {
        family: Family::ProviderTransitions,
        name: "spillway_provider_transitions_total",
        labels: &["provider", "kind", "to"],
        kind: FamilyKind::Counter,
        help: "Endpoints and keys of providers that were ejected, or are used again.",
    },
    Definition {
        family: Family::RateLimits,
        name: "spillway_rate_limit_requests_total",
        labels: &["rule", "verdict"],
        kind: FamilyKind::Counter,
        help: "Requests under a rate-limit rule, by what it said.",
    },
    Definition {
        family: Family::RequestDuration,
        name: "spillway_request_duration_seconds",
        labels: &["api", "name"],
        kind: FamilyKind::Histogram,
        help: "From a request's arrival to its answer's head (ingress, unless the answer is read along) or end.",
    },
    Definition {
        family: Family::Requests,
        name: "spillway_requests_total",
        labels: &["api", "name", "route", "status", "reason"],
        kind: FamilyKind::Counter,
        help: "Finished requests, by API, route, status and reason.",
    },
    Definition {
        family: Family::StateLate,
        name: "spillway_state_late_total",
        labels: &[],
        kind: FamilyKind::Counter,
        help: "Requests that were decided without the store's verdict because it came too late.",
    },
    Definition {
        family: Family::StateTransitions,
        name: "spillway_state_transitions_total",
        labels: &["to"],
        kind: FamilyKind::Counter,
        help: "How often instances left the store alone, and took it back into use.",
    },
    Definition {
        family: Family::TokenLimits,
        name: "spillway_token_limit_tokens_total",
        labels: &["rule", "kind"],
        kind: FamilyKind::Counter,
        help: "Tokens under a token limit: reserved, settled to what was used, of these estimated; and refused.",
    },
];

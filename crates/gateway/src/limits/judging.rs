//! What the store's answer means for a request.

use std::collections::BTreeMap;

use http::StatusCode;
use spillway_config::OnError;
use spillway_limit::{Applicable, Standing, Verdict};
use spillway_platform::{Admitted, Platform};
use spillway_surface::LocalReply;
use spillway_telemetry::{Counters, Family, Reason};

use super::{Limits, Passage};
use crate::Permit;

impl<P: Platform> Limits<P> {
    pub(super) fn judged(
        &self,
        verdict: &Verdict<'_>,
        permit: Option<Permit>,
    ) -> Result<Passage, LocalReply> {
        self.meter.count(|counters| {
            for rule in &verdict.near_limit {
                counters.add(Family::LimitsNear, [(*rule).to_owned().into()], 1);
            }
            for (rule, outcome) in &verdict.outcomes {
                rate_limit(counters, (*rule).to_owned(), outcome.as_str());
            }
        });
        self.log.debug(|| {
            let outcomes = verdict.outcomes.iter();
            let outcomes: Vec<String> = outcomes
                .map(|(rule, outcome)| format!("{rule}: {}", outcome.as_str()))
                .collect();
            format!("limits: {}", outcomes.join(", "))
        });
        let mut headers = verdict.headers(self.platform.random_number());
        if self.is_openai {
            headers.extend(verdict.openai_headers());
        }
        match &verdict.standing {
            Some(standing) if !verdict.passes => Err(refusal(standing, headers)),
            _ => Ok(Passage {
                headers,
                permits: permit.into_iter().collect(),
                ..Passage::default()
            }),
        }
    }

    /// What of tokens is reserved, or refused.
    pub(super) fn count_tokens_of(&self, applicable: &Applicable<'_>, admitted: &Admitted) {
        if !applicable.counts_tokens() {
            return;
        }
        self.meter.count(|counters| {
            // A rule of several windows tells it once.
            let mut by_rule: BTreeMap<(String, &'static str), u64> = BTreeMap::new();
            let mut add = |rule: &str, kind: &'static str, amount: u64| {
                let sum = by_rule.entry((rule.to_owned(), kind)).or_default();
                *sum = amount.max(*sum);
            };
            for reserved in applicable.reserved(Some(admitted)) {
                add(&reserved.rule, "reserved", reserved.charge.cost);
            }
            for (rule, amount) in applicable.refused_tokens(admitted) {
                add(rule, "refused", amount);
            }
            for ((rule, kind), amount) in by_rule {
                counters.add(Family::TokenLimits, [rule.into(), kind.into()], amount);
            }
        });
    }

    /// One client invents values faster than it may.
    pub(super) fn too_many_new_values(&self) -> LocalReply {
        self.meter
            .count(|counters| rate_limit(counters, String::new(), "too_many_new_values"));
        LocalReply::error(
            StatusCode::TOO_MANY_REQUESTS,
            Reason::TooManyNewValues,
            "Too many keys, users or other values in one second that have not been seen from anybody lately. Try again in a second.",
        )
        .with_header("retry-after", "1")
    }

    pub(super) fn without_state(&self, applicable: &Applicable<'_>) -> Result<Passage, LocalReply> {
        let denied = applicable.when_state_fails() == OnError::Deny;
        let verdict = if denied {
            "state_failed_denied"
        } else {
            "state_failed_allowed"
        };
        self.meter
            .count(|counters| rate_limit(counters, String::new(), verdict));
        if !denied {
            return Ok(Passage::default());
        }
        let reply = LocalReply::error(
            StatusCode::SERVICE_UNAVAILABLE,
            Reason::StateUnavailable,
            "The gateway cannot count requests right now and lets none pass that it could not count. Try again in a moment.",
        );
        Err(reply.with_header("retry-after", "1"))
    }
}

/// A rule refuses, in the operator's own words where there are some.
fn refusal(standing: &Standing<'_>, headers: Vec<(&'static str, String)>) -> LocalReply {
    let status =
        StatusCode::from_u16(standing.rule.rejected_code).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let reply = match &standing.rule.rejected_msg {
        Some(words) => LocalReply::text(status, Reason::RateLimited, words.clone()),
        None => LocalReply::error(status, Reason::RateLimited, standing.message()),
    };
    headers
        .into_iter()
        .fold(reply, |reply, (name, value)| reply.with_header(name, value))
}

/// What one rule said of one request; no rule at all where the name is empty.
fn rate_limit(counters: &mut Counters, rule: String, verdict: &'static str) {
    counters.add(Family::RateLimits, [rule.into(), verdict.into()], 1);
}

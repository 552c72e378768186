//! What only token limits have.

use super::limits::{self, LimitContext};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::rate_limit::Traffic;
use crate::{
    LimitRule, Quota, QuotaWindow, RateLimit, ReserveMode, TokenKind, TokenLimit, TokenQuota,
};

/// Answers of so many tokens are common.
const COMMON_ANSWER_TOKENS: u64 = 4_096;

/// Checks the token limits of one API, whose request limits these are.
pub(super) fn check(
    context: &LimitContext<'_>,
    token_limits: &[TokenLimit],
    rate_limits: &[RateLimit],
    policies: &Path,
    findings: &mut Findings<'_>,
) {
    let path = policies.key("token_limits");
    limits::check(context, token_limits, &path, findings);
    for (index, limit) in token_limits.iter().enumerate() {
        let at = path.index(index);
        if rate_limits
            .iter()
            .any(|other| other.rule_name == limit.rule_name)
        {
            findings.error(
                &at.key("rule_name"),
                "a rule of `rate_limits` has this name, and metrics could not tell them apart: give one of them another",
            );
        }
        let needs_answer =
            limit.token_kind != TokenKind::Input || context.traffic == Traffic::Agent;
        if limit.reserve == ReserveMode::Max && needs_answer {
            check_max(context, limit, &at, findings);
        }
    }
}

/// On knowledge APIs there are none.
pub(super) fn refuse(token_limits: &[TokenLimit], policies: &Path, findings: &mut Findings<'_>) {
    if !token_limits.is_empty() {
        findings.error(
            &policies.key("token_limits"),
            "retrieval tells of no tokens, so none can be counted here: limit requests by `rate_limits`",
        );
    }
}

/// With `max` a call that may use the whole limit passes alone.
fn check_max(
    context: &LimitContext<'_>,
    limit: &TokenLimit,
    at: &Path,
    findings: &mut Findings<'_>,
) {
    let at = at.key("reserve");
    if context.traffic == Traffic::Agent {
        findings.warning(
            &at,
            "runs of Dify do not say how much they may use, so that each reserves the whole limit and one passes at a time: write `expected`",
        );
    } else if let Some((window, least)) = smallest(limit)
        && least <= COMMON_ANSWER_TOKENS
    {
        findings.warning(
            &at,
            format!(
                "a call whose cap on its answer (`max_tokens`, `max_completion_tokens`) is {least} or more, or that names none where its route has no `max_output_tokens`, reserves all {least} of `{}`, so that one passes a window: write `expected`, or have clients send smaller caps",
                TokenQuota::key(window)
            ),
        );
    }
}

fn smallest(limit: &TokenLimit) -> Option<(QuotaWindow, u64)> {
    let of_items = limit.rule_items().iter().flat_map(|item| &item.limit_keys);
    let quotas = limit
        .global_threshold
        .into_iter()
        .chain(of_items.map(|key| key.quota));
    quotas
        .flat_map(Quota::windows)
        .min_by_key(|(_, limit)| *limit)
}

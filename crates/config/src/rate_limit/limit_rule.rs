//! What request limits and token limits have in common.

use super::{HigressRedis, LimitScope, OnError, Quota, RateLimit, RequestQuota, RuleItem};
use super::{TokenLimit, TokenQuota};

/// A document of limits, of whatever they count.
pub trait LimitRule {
    /// How much may pass.
    type Quota: Quota;
    /// What a document is called in messages.
    const WHAT: &'static str;

    /// Its name.
    fn name(&self) -> &str;
    /// The requests that it is for.
    fn applies_to(&self) -> Option<&LimitScope>;
    /// The requests that it is not for.
    fn except(&self) -> &[LimitScope];
    /// One quota for all.
    fn global_threshold(&self) -> Option<Self::Quota>;
    /// Quotas by a property of the request.
    fn rule_items(&self) -> &[RuleItem<Self::Quota>];
    /// Whether answers to requests that pass tell the quota.
    fn shows_quota(&self) -> bool;
    /// The status and the body of a refusal.
    fn rejection(&self) -> (u16, Option<&str>);
    /// What happens while nothing can be counted, where it says so itself.
    fn on_error(&self) -> Option<OnError>;
    /// Whether it only counts.
    fn dry_run(&self) -> bool;
    /// Where Higress would count.
    fn redis(&self) -> Option<&HigressRedis>;
}

macro_rules! limit_rule {
    ($rule:ty, $quota:ty, $what:literal) => {
        impl LimitRule for $rule {
            type Quota = $quota;
            const WHAT: &'static str = $what;

            fn name(&self) -> &str {
                &self.rule_name
            }

            fn applies_to(&self) -> Option<&LimitScope> {
                self.applies_to.as_ref()
            }

            fn except(&self) -> &[LimitScope] {
                &self.except
            }

            fn global_threshold(&self) -> Option<$quota> {
                self.global_threshold
            }

            fn rule_items(&self) -> &[RuleItem<$quota>] {
                &self.rule_items
            }

            fn shows_quota(&self) -> bool {
                self.show_limit_quota_header
            }

            fn rejection(&self) -> (u16, Option<&str>) {
                (self.rejected_code, self.rejected_msg.as_deref())
            }

            fn on_error(&self) -> Option<OnError> {
                self.on_error
            }

            fn dry_run(&self) -> bool {
                self.dry_run
            }

            fn redis(&self) -> Option<&HigressRedis> {
                self.redis.as_ref()
            }
        }
    };
}

limit_rule!(RateLimit, RequestQuota, "rate limit");
limit_rule!(TokenLimit, TokenQuota, "token limit");

//! What the counts mean for a request.

use spillway_store::{Count, Take};

use crate::Rule;

/// What the counts mean for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'r> {
    /// Whether it passes.
    pub passes: bool,
    /// The tightest rule: the one with the fewest requests left, of several the one that takes longest to have more.
    /// Of a refused request the one that refuses it for longest. Of one that passes only rules that show their quota
    /// are looked at; `None` if there are none. Never a dry run.
    pub standing: Option<Standing<'r>>,
    /// For metrics, of each rule once: what it meant for the request. A rule that would have let a refused request
    /// pass is left out, as it did not count it.
    pub outcomes: Vec<(&'r str, Outcome)>,
}

/// What a rule meant for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It let the request pass.
    Passed,
    /// A dry run that would have refused it.
    WouldRefuse,
    /// It refused the request.
    Refused,
}

impl Outcome {
    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::WouldRefuse => "would_refuse",
            Self::Refused => "refused",
        }
    }
}

/// Where a request's tightest rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// How many requests may pass in any window.
    pub limit: u32,
    /// The window in seconds.
    pub window_s: u64,
    /// How many more may pass now.
    pub remaining: u64,
    /// Seconds until more may, rounded up; at least 1.
    pub reset_s: u64,
}

impl<'r> Verdict<'r> {
    pub(crate) fn new<'a>(
        passes: bool,
        counts: impl Iterator<Item = ((&'r Rule, &'a Take), &'a Count)>,
    ) -> Self {
        let mut tightest: Option<(&'r Rule, &Take, &Count)> = None;
        let mut outcomes: Vec<(&'r str, Outcome)> = Vec::new();
        for ((rule, take), count) in counts {
            let outcome = match (count.full, rule.dry_run) {
                (true, false) => Some(Outcome::Refused),
                (true, true) => Some(Outcome::WouldRefuse),
                (false, _) => passes.then_some(Outcome::Passed),
            };
            if let Some(outcome) = outcome {
                match outcomes.iter_mut().find(|(name, _)| *name == rule.name) {
                    Some((_, worst)) => *worst = outcome.max(*worst),
                    None => outcomes.push((&rule.name, outcome)),
                }
            }
            let is_told = !rule.dry_run && if passes { rule.shows_quota } else { count.full };
            let is_tighter = tightest.is_none_or(|(_, _, other)| {
                (count.remaining, other.reset_ms) < (other.remaining, count.reset_ms)
            });
            if is_told && is_tighter {
                tightest = Some((rule, take, count));
            }
        }
        Self {
            passes,
            standing: tightest.map(|(rule, take, count)| Standing {
                rule,
                limit: take.limit,
                window_s: take.window_ms.div_ceil(1000),
                remaining: count.remaining,
                reset_s: count.reset_ms.div_ceil(1000).max(1),
            }),
            outcomes,
        }
    }
}

impl Standing<'_> {
    /// For the client of a refused request: the rule's own message, or one that says when to come again.
    pub fn message(&self) -> String {
        let Self {
            rule,
            limit,
            window_s,
            reset_s,
            ..
        } = self;
        rule.rejected_msg.clone().unwrap_or_else(|| {
            format!(
                "Too many requests: {limit} may pass in {window_s} s. Try again in {reset_s} s."
            )
        })
    }
}

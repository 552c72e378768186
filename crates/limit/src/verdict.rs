//! What the counts mean for a request.

use spillway_platform::{Charge, Charged};

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
    pub outcomes: Vec<(&'r str, RuleOutcome)>,
}

/// What a rule meant for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleOutcome {
    /// It let the request pass.
    Passed,
    /// A dry run that would have refused it.
    WouldRefuse,
    /// It refused the request.
    Refused,
}

impl RuleOutcome {
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
    /// How many requests may pass in any window, or be in flight.
    pub limit: u64,
    /// The window in seconds; `None` for a limit on what is in flight.
    pub window_s: Option<u64>,
    /// How many more may pass now.
    pub remaining: u64,
    /// Seconds until more may, rounded up; at least 1. When one of those in flight ends nobody knows: 1 then.
    pub reset_s: u64,
}

/// One charge of a request, and how its rule stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standpoint<'r> {
    rule: &'r Rule,
    limit: u64,
    window_ms: Option<u64>,
    remaining: u64,
    reset_ms: u64,
    full: bool,
}

impl<'r> Standpoint<'r> {
    pub fn new(rule: &'r Rule, charge: &Charge, charged: &Charged) -> Self {
        Self {
            rule,
            limit: charge.limit,
            window_ms: charge.window_ms(),
            remaining: charged.remaining,
            reset_ms: charged.reset_ms,
            full: charged.full,
        }
    }
}

impl<'r> Verdict<'r> {
    pub(crate) fn new(passes: bool, places: impl Iterator<Item = Standpoint<'r>>) -> Self {
        let mut tightest: Option<Standpoint<'r>> = None;
        let mut outcomes: Vec<(&'r str, RuleOutcome)> = Vec::new();
        for place in places {
            let rule = place.rule;
            let outcome = match (place.full, rule.dry_run) {
                (true, false) => Some(RuleOutcome::Refused),
                (true, true) => Some(RuleOutcome::WouldRefuse),
                (false, _) => passes.then_some(RuleOutcome::Passed),
            };
            if let Some(outcome) = outcome {
                match outcomes.iter_mut().find(|(name, _)| *name == rule.name) {
                    Some((_, worst)) => *worst = outcome.max(*worst),
                    None => outcomes.push((&rule.name, outcome)),
                }
            }
            let is_told = !rule.dry_run && if passes { rule.shows_quota } else { place.full };
            let is_tighter = tightest.is_none_or(|other| {
                (place.remaining, other.reset_ms) < (other.remaining, place.reset_ms)
            });
            if is_told && is_tighter {
                tightest = Some(place);
            }
        }
        Self {
            passes,
            standing: tightest.map(|place| Standing {
                rule: place.rule,
                limit: place.limit,
                window_s: place.window_ms.map(|window| window.div_ceil(1000)),
                remaining: place.remaining,
                reset_s: place.reset_ms.div_ceil(1000).max(1),
            }),
            outcomes,
        }
    }
}

impl Standing<'_> {
    /// For the client of a refused request, where the rule has no words of its own: when to come again.
    pub fn message(&self) -> String {
        let Self {
            limit,
            window_s,
            reset_s,
            ..
        } = self;
        match window_s {
            // Counted in sixths of the window, so that the wait may be longer than it.
            Some(window_s) if reset_s > window_s => format!(
                "Too many requests: at most {limit} in any {window_s} s, counted in steps of {} s. Try again in {reset_s} s.",
                window_s.div_ceil(6)
            ),
            Some(window_s) => format!(
                "Too many requests: at most {limit} in any {window_s} s. Try again in {reset_s} s."
            ),
            None => format!(
                "Too many requests at once: {limit} may be in flight. Try again when one has ended."
            ),
        }
    }
}

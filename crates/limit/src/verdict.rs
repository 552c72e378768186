//! What the counts mean for a request.

use spillway_platform::{Charge, Charged};

use crate::Rule;

/// What the counts mean for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'r> {
    /// Whether it passes.
    pub passes: bool,
    /// The tightest rule: the one that has the least part of its limit left, of several the one that takes longest to have
    /// more. Of a refused request the one that refuses it for longest, as far as that is known. Of one that passes only
    /// rules that show their quota are looked at; `None` if there are none. Never a dry run.
    pub standing: Option<Standing<'r>>,
    /// The same of rules that count requests, and of those that count tokens, each for itself.
    pub requests: Option<Standing<'r>>,
    /// See [`Verdict::requests`].
    pub tokens: Option<Standing<'r>>,
    /// For metrics, of each rule once: what it meant for the request. A rule that would have let a refused request
    /// pass is left out, as it did not count it.
    pub outcomes: Vec<(&'r str, RuleOutcome)>,
    /// Rules, each once, of which four fifths are used up, or reserved, by requests that passed.
    pub near_limit: Vec<&'r str>,
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
    /// What the request costs: 1, or as many tokens as it reserves.
    pub cost: u64,
    /// Whether it is known when more may.
    pub is_known: bool,
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
    cost: u64,
    is_near: bool,
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
            cost: charge.cost,
            is_near: charged.used.saturating_mul(5) >= charge.limit.saturating_mul(4),
        }
    }

    fn standing(self) -> Standing<'r> {
        Standing {
            rule: self.rule,
            limit: self.limit,
            window_s: self.window_ms.map(|window| window.div_ceil(1000)),
            remaining: self.remaining,
            reset_s: self.reset_ms.div_ceil(1000).max(1),
            cost: self.cost,
            is_known: self.window_ms.is_some() && self.reset_ms > 0,
        }
    }

    /// Whether it tells more of the request's limits than another one.
    fn is_tighter(&self, other: Option<&Self>, passes: bool) -> bool {
        let Some(other) = other else {
            return true;
        };
        if !passes {
            // Whoever comes back earlier is refused again. Of what is in flight, or reserved, nobody knows the wait.
            return (self.reset_ms, other.remaining) > (other.reset_ms, self.remaining);
        }
        // Of the limit, as one may be of requests and the other of tokens.
        let share =
            |of: &Self, limit: u64| u128::from(of.remaining).saturating_mul(u128::from(limit));
        let (own, others) = (share(self, other.limit), share(other, self.limit));
        (own, other.reset_ms) < (others, self.reset_ms)
    }
}

impl<'r> Verdict<'r> {
    pub(crate) fn new(passes: bool, places: impl Iterator<Item = Standpoint<'r>>) -> Self {
        let [mut tightest, mut requests, mut tokens]: [Option<Standpoint<'r>>; 3] = [None; 3];
        let mut outcomes: Vec<(&'r str, RuleOutcome)> = Vec::new();
        let mut near_limit: Vec<&'r str> = Vec::new();
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
            if passes && place.is_near && !near_limit.contains(&rule.name.as_str()) {
                near_limit.push(rule.name.as_str());
            }
            let is_told = !rule.dry_run && if passes { rule.shows_quota } else { place.full };
            let of_unit = if rule.tokens.is_some() {
                &mut tokens
            } else {
                &mut requests
            };
            for slot in [&mut tightest, of_unit] {
                if is_told && place.is_tighter(slot.as_ref(), passes) {
                    *slot = Some(place);
                }
            }
        }
        Self {
            passes,
            standing: tightest.map(Standpoint::standing),
            requests: requests.map(Standpoint::standing),
            tokens: tokens.map(Standpoint::standing),
            outcomes,
            near_limit,
        }
    }
}

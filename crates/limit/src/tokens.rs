//! What a call may use of tokens, what of that a rule reserves, and what it comes to in the end.
//!
//! **Rule.** A call reserves its input, which is estimated, and what its answer may have: with `max` the largest cap that it
//! names, or its model's own; with `expected` the 95th percentile of what such calls have used lately, within that cap, or,
//! of kinds of calls that are not known yet, at most a quarter of the limit. Never more than the limit: a larger call
//! passes alone, and what it uses beyond is debt. **Guarantee.** What is used in any window is at most the limit and what
//! calls in flight together have used above their reservations; with `max`, and an input that is not estimated too low, at
//! most the limit. **Source.** reference/peers.md D.3.

use spillway_config::{ReserveMode, TokenKind};
use spillway_platform::UsageProfile;

/// Fewer calls tell nothing of the next one.
const MIN_CALLS: u64 = 20;

/// Of a kind of call that is not known a reservation's output is at most this part of the limit, so that small limits stay
/// usable.
const UNKNOWN_SHARE: u64 = 4;

/// What is known of a call's tokens before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenDemand {
    /// Of its prompt; `None`: nobody knows, and it is among what its answer may have.
    pub input: Option<u64>,
    /// The most that its answer can have; `None`: nobody knows.
    pub output_cap: Option<u64>,
    /// What answers to such calls have had lately.
    pub profile: Option<UsageProfile>,
}

/// How a rule counts tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCounting {
    /// Which of them.
    pub kind: TokenKind,
    /// How much is reserved.
    pub reserve: ReserveMode,
}

/// What a call has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUse {
    /// Prompt and completion apart.
    Split {
        /// Of the prompt.
        input: u64,
        /// Of the completion.
        output: u64,
    },
    /// Only the sum is known: it counts as either.
    Unsplit(u64),
}

impl TokenCounting {
    /// What a call costs of a limit before it is made.
    pub(crate) fn cost(self, demand: &TokenDemand, limit: u64) -> u64 {
        if self.reserve == ReserveMode::None {
            return 0;
        }
        let output = self.output(demand, limit);
        let cost = match self.kind {
            TokenKind::Total => demand.input.unwrap_or_default().saturating_add(output),
            TokenKind::Input => demand.input.unwrap_or(output),
            TokenKind::Output => output,
        };
        cost.min(limit)
    }

    fn output(self, demand: &TokenDemand, limit: u64) -> u64 {
        let cap = demand.output_cap.unwrap_or(limit);
        let expected = match (self.reserve, demand.profile) {
            (ReserveMode::Expected, Some(profile)) if profile.calls >= MIN_CALLS => profile.p95,
            (ReserveMode::Expected, _) => limit.checked_div(UNKNOWN_SHARE).unwrap_or_default(),
            (ReserveMode::Max | ReserveMode::None, _) => limit,
        };
        cap.min(expected)
    }

    /// What a call costs that has used this.
    pub fn actual(self, usage: TokenUse) -> u64 {
        match (usage, self.kind) {
            (TokenUse::Unsplit(sum), _) => sum,
            (TokenUse::Split { input, output }, TokenKind::Total) => input.saturating_add(output),
            (TokenUse::Split { input, .. }, TokenKind::Input) => input,
            (TokenUse::Split { output, .. }, TokenKind::Output) => output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(kind: TokenKind, reserve: ReserveMode, demand: TokenDemand, limit: u64) -> u64 {
        TokenCounting { kind, reserve }.cost(&demand, limit)
    }

    #[test]
    fn what_is_reserved_follows_from_what_is_known() {
        use ReserveMode::{Expected, Max, None as Nothing};
        use TokenKind::{Input, Output, Total};
        let known = |calls| Some(UsageProfile { calls, p95: 90 });
        let demand = |cap, profile| TokenDemand {
            input: Some(100),
            output_cap: cap,
            profile,
        };
        for (kind, reserve, cap, profile, limit, expected) in [
            (Total, Max, Some(512), None, 10_000, 612),
            (Total, Max, Some(512), None, 500, 500),
            (Total, Max, None, known(50), 10_000, 10_000),
            (Output, Max, Some(512), None, 10_000, 512),
            (Input, Max, Some(512), None, 10_000, 100),
            (Total, Expected, Some(512), None, 500, 225),
            (Total, Expected, Some(10), None, 500, 110),
            (Total, Expected, Some(512), known(19), 500, 225),
            (Total, Expected, Some(512), known(20), 500, 190),
            (Total, Expected, Some(50), known(20), 500, 150),
            (Total, Expected, None, known(20), 500, 190),
            (Total, Expected, None, known(20), 30, 30),
            (Total, Nothing, Some(512), known(20), 500, 0),
        ] {
            let found = cost(kind, reserve, demand(cap, profile), limit);
            assert_eq!(
                found, expected,
                "{kind:?} {reserve:?} {cap:?} {profile:?} of {limit}"
            );
        }
        // Of a run nobody knows its input.
        let run = TokenDemand {
            input: None,
            ..demand(None, known(20))
        };
        for (kind, reserve, expected) in [
            (Input, Max, 500),
            (Total, Max, 500),
            (Input, Expected, 90),
            (Total, Expected, 90),
        ] {
            assert_eq!(
                cost(kind, reserve, run, 500),
                expected,
                "{kind:?} {reserve:?}"
            );
        }
    }
}

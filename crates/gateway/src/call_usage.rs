//! What a request has used of tokens.

use spillway_dify::{Run, RunOutcome, Tokens};
use spillway_limit::TokenUse;
use spillway_llm::{CallReport, InputTokens, Usage};
use spillway_telemetry::{CallTokens, Reason};

/// What a request has used of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallUsage {
    pub tokens: TokenUse,
    /// Whether nobody told: then it is what went by of it.
    pub is_estimated: bool,
    /// Whether more may have been used than went by, so that it counts as much as was reserved at least.
    pub may_be_more: bool,
    /// What later ones of its kind are expected to use; `None`: it did not come to its end.
    pub observed: Option<u64>,
}

/// No call uses a billion tokens: more is a fault, and would spoil every sum.
const MAX_TOKENS: u64 = 1_000_000_000;

const fn sound(tokens: u64) -> u64 {
    if tokens > MAX_TOKENS { 0 } else { tokens }
}

impl CallUsage {
    /// Of a run that Dify was asked for and of whose end nothing has been heard.
    pub const UNHEARD: Self = Self {
        tokens: TokenUse::Split {
            input: 0,
            output: 0,
        },
        is_estimated: true,
        may_be_more: true,
        observed: None,
    };

    /// Of a model call that ended so; `input` is what was estimated of its prompt. `is_background`: its answer is made later.
    pub fn of_call(
        report: &CallReport,
        reason: Reason,
        input: Option<InputTokens>,
        is_background: bool,
    ) -> Self {
        let is_complete = matches!(reason, Reason::Ok | Reason::Fallback) && !is_background;
        let reported = report.usage.map(|usage| Usage {
            input: sound(usage.input),
            output: sound(usage.output),
        });
        let reported = reported.filter(|usage| usage.input > 0 || usage.output > 0);
        let tokens = |input, output| TokenUse::Split { input, output };
        let told = reported.filter(|_| is_complete);
        if let Some(usage) = told {
            return Self {
                tokens: tokens(usage.input, usage.output),
                is_estimated: false,
                may_be_more: false,
                observed: Some(usage.output),
            };
        }
        let reported = reported.unwrap_or_default();
        let output = reported.output.max(report.estimated_output);
        // A provider that was asked has read the prompt, unless it failed before it said anything.
        let last = report.attempts.last();
        let was_read = output > 0 || last.is_some_and(|attempt| attempt.failure.is_none());
        let input = match (was_read, reported.input) {
            (false, _) => 0,
            (true, 0) => input.map_or(0, |input| input.total),
            (true, reported) => reported,
        };
        Self {
            tokens: tokens(input, output),
            is_estimated: true,
            may_be_more: is_background && was_read,
            observed: is_complete.then_some(output),
        }
    }

    /// Of a run of a Dify app whose answer told this.
    pub fn of_run(run: &Run) -> Self {
        let is_complete = run.outcome == RunOutcome::Succeeded;
        match run.tokens {
            Some(tokens) => {
                let (tokens, sum) = match tokens {
                    Tokens::Split { input, output } => {
                        let (input, output) = (sound(input), sound(output));
                        let sum = input.saturating_add(output);
                        (TokenUse::Split { input, output }, sum)
                    }
                    Tokens::Total(sum) => (TokenUse::Unsplit(sound(sum)), sound(sum)),
                };
                Self {
                    tokens,
                    is_estimated: false,
                    may_be_more: false,
                    observed: is_complete.then_some(sum),
                }
            }
            None => Self {
                tokens: TokenUse::Split {
                    input: 0,
                    output: run.estimated_output,
                },
                is_estimated: true,
                // Dify tells web apps of no tokens: of a run that came to its end its text is all that is known. What went
                // wrong in Dify, or was refused, has used nothing; of what nobody heard to its end nobody knows.
                may_be_more: matches!(
                    run.outcome,
                    RunOutcome::Broken
                        | RunOutcome::ClientLeft
                        | RunOutcome::Unfinished
                        | RunOutcome::Paused
                        | RunOutcome::Unread
                ),
                observed: is_complete.then_some(run.estimated_output),
            },
        }
    }

    /// For the record.
    pub fn for_record(self) -> Option<CallTokens> {
        match self.tokens {
            TokenUse::Split { input, output } if input > 0 || output > 0 => Some(CallTokens {
                input,
                output,
                is_estimated: self.is_estimated,
            }),
            _ => None,
        }
    }
}

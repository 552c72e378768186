//! What a request has used of tokens.

use spillway_dify::{Run, RunOutcome, Tokens};
use spillway_limit::TokenUse;
use spillway_llm::{CallReport, InputTokens};
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

impl CallUsage {
    /// Of a model call that ended so; `input` is what was estimated of its prompt.
    pub fn of_call(report: &CallReport, reason: Reason, input: Option<InputTokens>) -> Self {
        let is_complete = matches!(reason, Reason::Ok | Reason::Fallback);
        let reported = report
            .usage
            .filter(|usage| usage.input > 0 || usage.output > 0);
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
            may_be_more: false,
            observed: is_complete.then_some(output),
        }
    }

    /// Of a run of a Dify app whose answer told this.
    pub fn of_run(run: &Run) -> Self {
        let is_complete = run.outcome == RunOutcome::Succeeded;
        match run.tokens {
            Some(tokens) => {
                let (tokens, sum) = match tokens {
                    Tokens::Split { input, output } => (
                        TokenUse::Split { input, output },
                        input.saturating_add(output),
                    ),
                    Tokens::Total(sum) => (TokenUse::Unsplit(sum), sum),
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
                // What went wrong in Dify, or was refused, has used nothing; of what nobody heard to its end nobody knows.
                may_be_more: !matches!(
                    run.outcome,
                    RunOutcome::Refused | RunOutcome::Error | RunOutcome::Failed
                ),
                observed: None,
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

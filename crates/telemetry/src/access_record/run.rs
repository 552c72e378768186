//! A run of a Dify app.

use crate::fields::Fields;
use crate::{Counters, Family, Label};

/// What Dify tells of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunDetail {
    /// `blocking`, `streaming` or `unknown`.
    pub mode: &'static str,
    /// How it ended, from a closed list.
    pub outcome: &'static str,
    /// The app's digest; `None` where Dify did not take the key, as those have no end.
    pub app: Option<String>,
    /// Who it was for, where that is known.
    pub end_user: Option<String>,
    /// Tokens, where Dify told them.
    pub tokens: Option<RunTokens>,
    /// How many events its stream had.
    pub events: u64,
    /// Dify's id of the conversation.
    pub conversation: Option<String>,
    /// Dify's id of the run of the workflow.
    pub workflow_run: Option<String>,
}

/// Tokens that a run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunTokens {
    /// Told apart.
    Split {
        /// Of prompts.
        input: u64,
        /// Of completions.
        output: u64,
    },
    /// Only the sum is known.
    Total(u64),
}

impl RunDetail {
    pub(super) fn count(&self, name: &Label, counters: &mut Counters) {
        let app = self.app.clone().map_or(Label::NONE, Label::from);
        counters.add(
            Family::AgentRuns,
            [
                name.clone(),
                app.clone(),
                self.mode.into(),
                self.outcome.into(),
            ],
            1,
        );
        let mut add = |kind: &'static str, amount| {
            let labels = [name.clone(), app.clone(), kind.into()];
            counters.add(Family::AgentTokens, labels, amount);
        };
        match self.tokens {
            None => {}
            Some(RunTokens::Split { input, output }) => {
                add("input", input);
                add("output", output);
            }
            Some(RunTokens::Total(total)) => add("unsplit", total),
        }
    }

    pub(super) fn write(&self, fields: &mut Fields) {
        fields.word("mode", self.mode);
        fields.word("outcome", self.outcome);
        fields.number("events", self.events);
        match self.tokens {
            None => {}
            Some(RunTokens::Split { input, output }) => {
                fields.number("input_tokens", input);
                fields.number("output_tokens", output);
            }
            Some(RunTokens::Total(total)) => fields.number("total_tokens", total),
        }
        for (name, value) in [
            ("app", &self.app),
            ("end_user", &self.end_user),
            ("conversation", &self.conversation),
            ("workflow_run", &self.workflow_run),
        ] {
            if let Some(value) = value {
                fields.text(name, value);
            }
        }
    }
}

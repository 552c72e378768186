//! What there is to tell of a run.

use http::StatusCode;
use spillway_dify::{AnswerReader, Form, ResponseMode, Run, RunOutcome, Tokens};
use spillway_platform::Platform;
use spillway_telemetry::{Detail, RunDetail, RunTokens};

use super::exchange::AgentExchange;
use crate::call_usage::CallUsage;
use crate::copying::CopyEnd;

/// A run whose answer is on the way. Its settlement tells of it, however that ends.
#[derive(Debug)]
pub(crate) struct RunRecord {
    status: StatusCode,
    run: RunDetail,
    /// What reads the answer along; `None` where nothing is to be learnt from it.
    pub reader: Option<AnswerReader>,
    /// How passing the answer on ended, which the runtime may give up.
    pub end: CopyEnd,
}

impl RunRecord {
    pub(super) fn new<P: Platform>(
        exchange: &AgentExchange<P>,
        status: StatusCode,
        form: Option<Form>,
        end_user: Option<String>,
    ) -> Self {
        let app = exchange.runtime.limits.dify_app(&exchange.head.headers);
        let mode = form.map_or(ResponseMode::Unknown, Form::mode);
        Self {
            status,
            run: RunDetail {
                mode: mode.as_str(),
                // Only of keys that Dify took: others have no end.
                app: app.filter(|_| status.is_success()).map(|app| app.label()),
                end_user,
                ..RunDetail::default()
            },
            reader: form.map(AnswerReader::new),
            end: CopyEnd::ClientLeft,
        }
    }

    /// What there is to tell, and what was used, as far as the answer was read.
    pub fn detail(mut self) -> (Detail, CallUsage) {
        let usage = match self.reader.take().map(AnswerReader::finish) {
            Some(mut seen) => {
                let outcome = match self.end {
                    CopyEnd::Complete => seen.outcome,
                    CopyEnd::Broken => RunOutcome::Broken,
                    CopyEnd::ClientLeft => RunOutcome::ClientLeft,
                };
                seen.outcome = outcome;
                let usage = CallUsage::of_run(&seen);
                self.run.outcome = outcome.as_str();
                self.run.events = seen.events;
                self.run.tokens = seen.tokens.map(|tokens| match tokens {
                    Tokens::Split { input, output } => RunTokens::Split { input, output },
                    Tokens::Total(total) => RunTokens::Total(total),
                });
                self.run.conversation = seen.conversation;
                self.run.workflow_run = seen.workflow_run;
                usage
            }
            // Passed on unread, or copied for its permit alone.
            None => {
                let outcome = if self.status.is_success() {
                    RunOutcome::Unread
                } else {
                    RunOutcome::Refused
                };
                self.run.outcome = outcome.as_str();
                CallUsage::of_run(&Run {
                    outcome,
                    ..Run::default()
                })
            }
        };
        (Detail::Run(Box::new(self.run)), usage)
    }
}

//! What there is to tell of a run.

use http::StatusCode;
use spillway_dify::{ResponseMode, RunOutcome, Tokens};
use spillway_platform::Platform;
use spillway_telemetry::{Detail, RunDetail};

use super::answering::End;
use super::exchange::AgentExchange;

/// A run whose answer is on the way.
#[derive(Debug)]
pub(super) struct RunRecord {
    status: StatusCode,
    run: RunDetail,
}

impl RunRecord {
    pub fn new<P: Platform>(
        exchange: &AgentExchange<P>,
        status: StatusCode,
        mode: ResponseMode,
        end_user: Option<String>,
    ) -> Self {
        let app = exchange.runtime.limits.dify_app(&exchange.head.headers);
        Self {
            status,
            run: RunDetail {
                mode: mode.as_str(),
                // Only of keys that Dify took: others have no end.
                app: app.filter(|_| status.is_success()).map(|app| app.label()),
                end_user,
                ..RunDetail::default()
            },
        }
    }

    /// Of an answer that was not read.
    pub fn unread(mut self) -> Detail {
        let outcome = if self.status.is_success() {
            RunOutcome::Unread
        } else {
            RunOutcome::Refused
        };
        self.run.outcome = outcome.as_str();
        Detail::Run(Box::new(self.run))
    }

    /// Of an answer whose client is gone before anything of it is known.
    pub fn left(&self) -> Detail {
        Detail::Run(Box::new(RunDetail {
            outcome: RunOutcome::ClientLeft.as_str(),
            ..self.run.clone()
        }))
    }

    /// Of an answer that was passed on so far.
    pub fn read(mut self, seen: Option<spillway_dify::Run>, end: End) -> Detail {
        // Copied for its permit alone.
        let Some(seen) = seen else {
            return self.unread();
        };
        self.run.outcome = end.outcome(seen.outcome).as_str();
        self.run.events = seen.events;
        self.run.tokens = seen.tokens.map(|tokens| match tokens {
            Tokens::Split { input, output } => {
                spillway_telemetry::RunTokens::Split { input, output }
            }
            Tokens::Total(total) => spillway_telemetry::RunTokens::Total(total),
        });
        self.run.conversation = seen.conversation;
        self.run.workflow_run = seen.workflow_run;
        Detail::Run(Box::new(self.run))
    }
}

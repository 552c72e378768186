//! What is counted and logged of a run, once.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use spillway_dify::{Mode, Outcome, Run, Tokens};
use spillway_forward::{Destination, RouteName};
use spillway_platform::Platform;
use spillway_telemetry::{AgentRun, AgentTokens};

use super::AgentRuntime;
use super::answering::End;
use super::exchange::Exchange;

/// A run whose answer is on the way.
pub(super) struct RunRecord<P: Platform> {
    runtime: Arc<AgentRuntime<P>>,
    arrived: Duration,
    id: String,
    api: Arc<str>,
    route: RouteName,
    status: StatusCode,
    mode: Mode,
    /// The app's digest. Only of keys that Dify took: others have no end.
    app: Option<String>,
    end_user: Option<String>,
}

impl<P: Platform> RunRecord<P> {
    pub fn new(
        exchange: &Exchange<P>,
        destination: &Destination,
        status: StatusCode,
        mode: Mode,
        end_user: Option<String>,
    ) -> Self {
        let app = exchange.runtime.limits.dify_app(&exchange.head.headers);
        Self {
            runtime: Arc::clone(&exchange.runtime),
            arrived: exchange.arrived,
            id: exchange.id.clone(),
            api: Arc::clone(&destination.api),
            route: destination.route.clone(),
            status,
            mode,
            app: app.filter(|_| status.is_success()).map(|app| app.label()),
            end_user,
        }
    }

    /// For an answer that was not read.
    pub fn settle_unread(&self) {
        let outcome = if self.status.is_success() {
            Outcome::Unread
        } else {
            Outcome::Refused
        };
        self.settle_as(outcome, &Run::default());
    }

    /// For an answer that was passed on so far.
    pub fn settle(&self, told: Option<Run>, end: End) {
        match told {
            Some(run) => self.settle_as(end.outcome(run.outcome), &run),
            // Copied for its lease alone.
            None => self.settle_unread(),
        }
    }

    fn settle_as(&self, outcome: Outcome, run: &Run) {
        let app = self.app.as_deref().unwrap_or_default();
        let counted = AgentRun {
            name: &self.api,
            app,
            mode: self.mode.as_str(),
            outcome: outcome.as_str(),
        };
        let tokens = match run.tokens {
            None => None,
            Some(Tokens::Split { input, output }) => Some(AgentTokens::Split { input, output }),
            Some(Tokens::Total(total)) => Some(AgentTokens::Total(total)),
        };
        self.runtime
            .meter
            .count(|counters| counters.agent_run(counted, tokens));
        self.log(outcome, run);
    }

    fn log(&self, outcome: Outcome, run: &Run) {
        let took = self
            .runtime
            .platform
            .now()
            .saturating_sub(self.arrived)
            .as_millis();
        let mut line = format!(
            "run api={} route={} status={} mode={} outcome={} ms={took} events={} request={}",
            self.api,
            &*self.route,
            self.status.as_u16(),
            self.mode.as_str(),
            outcome.as_str(),
            run.events,
            self.id,
        );
        // Writing to a string cannot fail.
        let _ = match run.tokens {
            None => Ok(()),
            Some(Tokens::Split { input, output }) => {
                write!(line, " input_tokens={input} output_tokens={output}")
            }
            Some(Tokens::Total(total)) => write!(line, " total_tokens={total}"),
        };
        for (name, value) in [
            ("app", &self.app),
            ("end_user", &self.end_user),
            ("conversation", &run.conversation),
            ("workflow_run", &run.workflow_run),
        ] {
            if let Some(value) = value {
                // Others' text: quoted, so that it is one word of one line.
                let _ = write!(line, " {name}={value:?}");
            }
        }
        self.runtime.platform.log(&line);
    }
}

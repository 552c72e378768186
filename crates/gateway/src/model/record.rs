//! What is counted and logged of a call, once.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use spillway_llm::{Attempt, Route, Usage};
use spillway_platform::Platform;
use spillway_telemetry::{Api, Counters, ModelCall, Reason, TokenKind};
use spillway_upstream::Stop;

use super::ModelRuntime;
use super::handler::Received;

/// How a call went.
pub(super) struct CallRecord<'a> {
    pub route: &'a Route,
    pub received: &'a Received,
    pub model: &'a str,
    pub is_stream: bool,
    pub status: u16,
    pub reason: Reason,
    pub attempts: &'a [Attempt],
    pub usage: Option<Usage>,
    pub first_content: Option<Duration>,
    pub stop: Option<Stop>,
}

impl CallRecord<'_> {
    /// Counts and logs it.
    pub fn settle<P: Platform>(&self, runtime: &ModelRuntime<P>) {
        let took = runtime
            .platform
            .now()
            .saturating_sub(self.received.arrival.at);
        runtime.meter.count(|counters| self.count(counters, took));
        runtime.platform.log(&self.line(took));
    }

    fn count(&self, counters: &mut Counters, took: Duration) {
        let name = &self.received.api.name;
        counters.request(
            Api::Model,
            name,
            &self.route.name,
            self.status,
            self.reason,
            took,
        );
        for attempt in self.attempts {
            let call = call_of(name, attempt);
            counters.attempt(call, &self.outcome(attempt));
        }
        if let Some(last) = self.attempts.last() {
            let call = call_of(name, last);
            if let Some(usage) = self.usage {
                counters.tokens(call, TokenKind::Input, usage.input);
                counters.tokens(call, TokenKind::Output, usage.output);
            }
            if let Some(first_content) = self.first_content {
                counters.first_token(call, first_content);
            }
        }
        if let Some(why) = self.stopped_by() {
            counters.retry_refused(name, why);
        }
    }

    fn outcome(&self, attempt: &Attempt) -> Cow<'static, str> {
        match attempt.failure {
            Some(failure) => failure.label(),
            None if self.reason == Reason::ClientLeft => "client_left".into(),
            None => "ok".into(),
        }
    }

    /// Why nothing more was tried although more might have been.
    fn stopped_by(&self) -> Option<&'static str> {
        match self.stop? {
            Stop::Budget => Some("budget"),
            Stop::Deadline => Some("deadline"),
            Stop::Attempts => Some("attempts"),
            Stop::Cooling(_) => Some("cooling"),
            Stop::NoKey => Some("no_key"),
            Stop::Exhausted => None,
        }
    }

    fn line(&self, took: Duration) -> String {
        let mut line = format!(
            "call api={} route={:?} status={} reason={} stream={} ms={}",
            self.received.api.name,
            self.route.name,
            self.status,
            self.reason,
            self.is_stream,
            took.as_millis(),
        );
        // Writing to a string cannot fail.
        if let Some(consumer) = &self.received.consumer {
            let _ = write!(line, " consumer={consumer}");
        }
        // Others' text: quoted, so that it is one word of one line.
        let model: String = self.model.chars().take(100).collect();
        let _ = write!(line, " model={model:?}");
        if let Some(usage) = self.usage {
            let _ = write!(
                line,
                " input_tokens={} output_tokens={}",
                usage.input, usage.output
            );
        }
        if let Some(why) = self.stopped_by() {
            let _ = write!(line, " stopped_by={why}");
        }
        let _ = write!(
            line,
            " request={} attempts=[",
            self.received.arrival.request_id
        );
        for (index, attempt) in self.attempts.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let outcome = self.outcome(attempt);
            let _ = write!(
                line,
                "{separator}{}/{} at={} key={} outcome={outcome} ms={}",
                attempt.provider,
                attempt.model,
                attempt.endpoint,
                attempt.key.as_deref().unwrap_or("-"),
                attempt.milliseconds
            );
            if let Some(detail) = &attempt.detail {
                let _ = write!(line, " detail={detail:?}");
            }
        }
        line.push(']');
        line
    }
}

fn call_of<'a>(name: &'a str, attempt: &'a Attempt) -> ModelCall<'a> {
    ModelCall {
        name,
        provider: &attempt.provider,
        model: &attempt.model,
    }
}

//! What is counted and logged of a call, once.

use std::fmt::Write as _;
use std::time::Duration;

use spillway_failover::Stop;
use spillway_model::{Attempt, Route, Usage};
use spillway_platform::Clock;
use spillway_platform::spin::{self, SpinClock};
use spillway_telemetry::{Api, Counters, ModelCall, Reason, TokenKind};

use crate::Instance;
use crate::handler::Received;

/// How a call went.
pub(crate) struct CallRecord<'a> {
    pub route: &'static Route,
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
    pub fn settle(&self, instance: &'static Instance) {
        let took = SpinClock.now().saturating_sub(self.received.arrived);
        instance.meter.count(|counters| self.count(counters, took));
        spin::log(&self.line(took));
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
            match attempt.failure {
                Some(failure) => counters.attempt(call, &failure.label()),
                None if self.reason == Reason::ClientLeft => counters.attempt(call, "client_left"),
                None => counters.attempt(call, "ok"),
            }
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
        let refused = match self.stop {
            Some(Stop::Budget) => "budget",
            Some(Stop::Deadline) => "deadline",
            Some(Stop::Attempts) => "attempts",
            Some(Stop::Cooling(_)) => "cooling",
            Some(Stop::NoKey) => "no_key",
            Some(Stop::Exhausted) | None => return,
        };
        counters.retry_refused(name, refused);
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
        if let Some(consumer) = self.received.consumer {
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
        let _ = write!(line, " request={} attempts=[", self.received.request_id);
        for (index, attempt) in self.attempts.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let outcome = attempt
                .failure
                .map_or("ok".into(), |failure| failure.label());
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

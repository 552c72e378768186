//! What there is to tell of a call.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use spillway_llm::Usage;
use spillway_platform::Platform;
use spillway_telemetry::{AttemptDetail, CallDetail, Detail, Reason};
use spillway_upstream::{AttemptRecord, Stop};

use crate::Settlement;

/// How a call went.
pub(super) struct CallOutcome<'a> {
    pub model: &'a str,
    pub is_stream: bool,
    pub status: StatusCode,
    pub reason: Reason,
    pub attempts: &'a [AttemptRecord],
    pub usage: Option<Usage>,
    pub first_content: Option<Duration>,
    pub stop: Option<Stop>,
}

impl CallOutcome<'_> {
    /// Tells it.
    pub fn tell<P: Platform>(&self, settlement: &mut Settlement<P>) {
        let call = CallDetail {
            model: self.model.to_owned(),
            is_stream: self.is_stream,
            usage: self.usage.map(|usage| spillway_telemetry::CallTokens {
                input: usage.input,
                output: usage.output,
            }),
            first_content: self.first_content,
            attempts: self.attempts.iter().map(|it| self.attempt(it)).collect(),
            stopped_by: self.stopped_by(),
        };
        settlement.record.detail = Detail::Call(Box::new(call));
        settlement.set(self.status, self.reason);
    }

    fn attempt(&self, attempt: &AttemptRecord) -> AttemptDetail {
        AttemptDetail {
            provider: attempt.provider.clone().into(),
            model: attempt.model.clone().into(),
            endpoint: attempt.endpoint.clone(),
            key: attempt.key.clone(),
            outcome: self.outcome(attempt),
            milliseconds: attempt.milliseconds,
            detail: attempt.detail.clone(),
        }
    }

    fn outcome(&self, attempt: &AttemptRecord) -> Cow<'static, str> {
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
            Stop::Exhausted | Stop::NoTarget => None,
        }
    }
}

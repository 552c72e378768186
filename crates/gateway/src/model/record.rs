//! What there is to tell of a call.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use spillway_llm::{CallProgress, InputTokens};
use spillway_telemetry::{AttemptDetail, CallDetail, CallTokens, Reason};
use spillway_upstream::{AttemptRecord, Stop};

use crate::call_usage::CallUsage;

/// A call that has begun. Its settlement tells of it, however the call ends.
pub(crate) struct CallRecord {
    /// The model as the client named it; empty where the call names none.
    pub model: String,
    /// Whether its answer is to be streamed.
    pub is_stream: bool,
    /// What was estimated of its prompt, where that matters.
    pub input: Option<InputTokens>,
    /// Whether its answer is made later, and fetched by another call.
    pub is_background: bool,
    /// How it goes.
    pub progress: Arc<CallProgress>,
}

impl CallRecord {
    /// What there is to tell at this time, of a call that ended so, and what it has used.
    pub fn detail(self, reason: Reason, now: Duration) -> (CallDetail, CallUsage) {
        let report = self.progress.report(now);
        let usage = CallUsage::of_call(&report, reason, self.input, self.is_background);
        // Without an estimate of the prompt only what a provider reported is told.
        let reported = report.usage.map(|usage| CallTokens {
            input: usage.input,
            output: usage.output,
            is_estimated: false,
        });
        let tokens = match self.input {
            Some(_) => usage.for_record(),
            None => reported,
        };
        let attempts = report.attempts.into_iter();
        let detail = CallDetail {
            model: self.model,
            is_stream: self.is_stream,
            usage: tokens,
            first_content: report.first_content,
            attempts: attempts.map(|it| attempt_detail(it, reason)).collect(),
            stopped_by: report.stop.and_then(stopped_by),
        };
        (detail, usage)
    }
}

fn attempt_detail(attempt: AttemptRecord, reason: Reason) -> AttemptDetail {
    AttemptDetail {
        outcome: outcome(&attempt, reason),
        provider: attempt.provider.into(),
        model: attempt.model.into(),
        endpoint: attempt.endpoint,
        key: attempt.key,
        milliseconds: attempt.milliseconds,
        detail: attempt.detail,
    }
}

fn outcome(attempt: &AttemptRecord, reason: Reason) -> Cow<'static, str> {
    match attempt.failure {
        Some(failure) => failure.label(),
        None if reason == Reason::ClientLeft => "client_left".into(),
        None => "ok".into(),
    }
}

/// Why nothing more was tried although more might have been.
fn stopped_by(stop: Stop) -> Option<&'static str> {
    match stop {
        Stop::Budget => Some("budget"),
        Stop::Deadline => Some("deadline"),
        Stop::Attempts => Some("attempts"),
        Stop::Cooling(_) => Some("cooling"),
        Stop::NoKey => Some("no_key"),
        Stop::Exhausted | Stop::NoTarget => None,
    }
}

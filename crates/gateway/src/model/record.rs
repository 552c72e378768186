//! What there is to tell of a call.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use spillway_llm::CallProgress;
use spillway_telemetry::{AttemptDetail, CallDetail, CallTokens, Reason};
use spillway_upstream::{AttemptRecord, Stop};

/// A call that has begun. Its settlement tells of it, however the call ends.
pub(crate) struct CallRecord {
    /// The model as the client named it; empty where the call names none.
    pub model: String,
    /// Whether its answer is to be streamed.
    pub is_stream: bool,
    /// How it goes.
    pub progress: Arc<CallProgress>,
}

impl CallRecord {
    /// What there is to tell at this time, of a call that ended so.
    pub fn detail(self, reason: Reason, now: Duration) -> CallDetail {
        let report = self.progress.report(now);
        let attempts = report.attempts.into_iter();
        CallDetail {
            model: self.model,
            is_stream: self.is_stream,
            usage: report.usage.map(|usage| CallTokens {
                input: usage.input,
                output: usage.output,
            }),
            first_content: report.first_content,
            attempts: attempts.map(|it| attempt_detail(it, reason)).collect(),
            stopped_by: report.stop.and_then(stopped_by),
        }
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

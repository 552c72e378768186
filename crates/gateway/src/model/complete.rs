//! Calls answered in one piece.

use std::sync::Arc;

use spillway_llm::{ModelRequest, Route, Served, UPSTREAM_REQUEST_ID};
use spillway_platform::{Headers, Platform};

use super::handler::Received;
use super::record::CallOutcome;
use super::{ModelRuntime, Watch, call_of, replies};
use crate::Settlement;

pub(super) async fn serve<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    route: &Arc<Route>,
    request: &ModelRequest,
    received: &Received,
    settlement: Settlement<P>,
) -> Result<P::Response, P::Error> {
    let watch = Watch(Arc::clone(runtime));
    let call = call_of(runtime, &watch, route, &request.model, received);
    let completed = call.complete(request).await;
    CallOutcome {
        model: &request.model,
        is_stream: false,
        status: completed.answer.status,
        reason: completed.answer.reason,
        attempts: &completed.attempts,
        usage: completed.usage,
        first_content: None,
        stop: completed.stop,
    }
    .settle(settlement);
    let mut answer = completed.answer;
    describe(
        &mut answer.headers,
        completed.served.as_ref(),
        completed.attempts.len(),
    );
    append_quota(&mut answer.headers, &received.quota);
    replies::send(&runtime.platform, answer, &received.request_id).await
}

/// Says who served, after how many attempts.
pub(super) fn describe(headers: &mut Headers, served: Option<&Served>, attempts: usize) {
    if let Some(served) = served {
        if let Some(id) = &served.request_id {
            headers.append(UPSTREAM_REQUEST_ID, id.as_str());
        }
        headers.append("x-gateway-provider", served.provider.as_str());
        if !served.model.is_empty() {
            headers.append("x-gateway-model", header_text(&served.model));
        }
        if !served.left_out.is_empty() {
            headers.append("x-gateway-left-out", served.left_out.join(", "));
        }
    }
    headers.append("x-gateway-attempts", attempts.to_string());
}

/// Tells the client of its limits.
pub(super) fn append_quota(headers: &mut Headers, quota: &[(&'static str, String)]) {
    for (name, value) in quota {
        headers.append(name, value.as_str());
    }
}

/// A model's name may be a client's own text; a header takes visible ASCII only.
fn header_text(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_ascii_graphic() {
                character
            } else {
                '?'
            }
        })
        .take(200)
        .collect()
}

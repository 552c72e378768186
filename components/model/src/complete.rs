//! Calls answered in one piece.

use spillway_llm::{ModelRequest, Route, Served, UPSTREAM_REQUEST_ID};
use spillway_platform::Headers;
use spillway_platform_spin::{ErrorCode, Response};

use crate::handler::Received;
use crate::record::CallRecord;
use crate::{Instance, Watch, answers, call_of};

pub(crate) async fn serve(
    instance: &'static Instance,
    route: &'static Route,
    request: &ModelRequest,
    received: &Received,
) -> Result<Response, ErrorCode> {
    let watch = Watch(instance);
    let call = call_of(instance, &watch, route, request, received);
    let completed = call.complete().await;
    CallRecord {
        route,
        received,
        model: &request.model,
        is_stream: false,
        status: completed.answer.status.as_u16(),
        reason: completed.answer.reason,
        attempts: &completed.attempts,
        usage: completed.usage,
        first_content: None,
        stop: completed.stop,
    }
    .settle(instance);
    let mut answer = completed.answer;
    describe(
        &mut answer.headers,
        completed.served.as_ref(),
        completed.attempts.len(),
    );
    append_quota(&mut answer.headers, &received.quota);
    answers::send(answer, &received.arrival.request_id).await
}

/// Says who served, after how many attempts.
pub(crate) fn describe(headers: &mut Headers, served: Option<&Served>, attempts: usize) {
    if let Some(served) = served {
        if let Some(id) = &served.request_id {
            headers.append(UPSTREAM_REQUEST_ID, id.as_str());
        }
        headers.append("x-gateway-provider", served.provider.as_str());
        if !served.model.is_empty() {
            headers.append("x-gateway-model", header_text(&served.model));
        }
    }
    headers.append("x-gateway-attempts", attempts.to_string());
}

/// Tells the client of its limits.
pub(crate) fn append_quota(headers: &mut Headers, quota: &[(&'static str, String)]) {
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

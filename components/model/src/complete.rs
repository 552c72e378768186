//! Calls answered in one piece.

use spillway_model::{Attempt, Call, ModelRequest, Route, Served, Usage};
use spillway_platform::spin::{self, ErrorCode, Response, SpinClock, SpinSender};
use spillway_platform::{Clock, Headers};
use spillway_telemetry::{Api, Counters, ModelCall, Reason, TokenKind};

use crate::Instance;
use crate::handler::{self, Received};

pub(crate) async fn serve(
    instance: &'static Instance,
    route: &'static Route,
    request: &ModelRequest<'_>,
    received: &Received,
) -> Result<Response, ErrorCode> {
    let call = Call {
        sender: &SpinSender,
        clock: &SpinClock,
        route,
        operation: received.operation,
        request,
        headers: &received.headers,
        arrived: received.arrived,
        number: instance.next_call(),
    };
    let completed = call.complete().await;
    let mut answer = completed.answer;
    describe(
        &mut answer.headers,
        completed.served.as_ref(),
        completed.attempts.len(),
    );
    append_quota(&mut answer.headers, &received.quota);
    let took = SpinClock.now().saturating_sub(received.arrived);
    instance.meter.count(|counters| {
        let name = &received.api.name;
        counters.request(
            Api::Model,
            name,
            &route.name,
            answer.status.as_u16(),
            answer.reason,
            took,
        );
        count_attempts(counters, name, route, &completed.attempts, completed.usage);
    });
    log_failures(
        &received.api.name,
        route,
        &completed.attempts,
        answer.reason,
    );
    handler::send(answer).await
}

/// Says who served, after how many attempts.
pub(crate) fn describe(headers: &mut Headers, served: Option<&Served>, attempts: usize) {
    if let Some(served) = served {
        headers.append("x-gateway-provider", served.provider.as_str());
        headers.append("x-gateway-model", header_text(&served.model));
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

pub(crate) fn count_attempts(
    counters: &mut Counters,
    api: &str,
    route: &Route,
    attempts: &[Attempt],
    usage: Option<Usage>,
) {
    for attempt in attempts {
        let Some(place) = route.targets.get(attempt.target) else {
            continue;
        };
        let call = ModelCall {
            name: api,
            provider: &place.provider,
            model: place.model_label(),
        };
        match attempt.failure {
            Some(failure) => counters.attempt(call, &failure.label()),
            None => counters.attempt(call, "ok"),
        }
        let is_last = std::ptr::eq(attempt, attempts.last().unwrap_or(attempt));
        if is_last && let Some(usage) = usage {
            counters.tokens(call, TokenKind::Input, usage.input);
            counters.tokens(call, TokenKind::Output, usage.output);
        }
    }
}

/// One line a call in which something failed.
pub(crate) fn log_failures(api: &str, route: &Route, attempts: &[Attempt], reason: Reason) {
    if attempts.iter().all(|attempt| attempt.failure.is_none()) {
        return;
    }
    let trail: Vec<String> = attempts
        .iter()
        .filter_map(|attempt| {
            let place = route.targets.get(attempt.target)?;
            let outcome = attempt
                .failure
                .map_or("ok".into(), |failure| failure.label());
            let detail = attempt.detail.as_ref();
            let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
            Some(format!(
                "{}/{} {outcome}{detail} {} ms",
                place.provider,
                place.model_label(),
                attempt.milliseconds
            ))
        })
        .collect();
    spin::log(&format!(
        "{api} {}: {reason}: {}",
        route.name,
        trail.join(", ")
    ));
}

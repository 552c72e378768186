//! One request: route, clean, forward, count.

use http::StatusCode;
use spillway_config::DifyService;
use spillway_forward::{
    Answer, ForwardedHeaders, RoutingFailure, Surface, drop_internal_headers,
    drop_unforwardable_headers,
};
use spillway_instance::{Admission, Refusal};
use spillway_limit::RequestFacts;
use spillway_platform::spin::{self, ErrorCode, Forwarded, Request, Response, SpinClock};
use spillway_platform::{Clock, RequestHead, SendError};
use spillway_telemetry::{Api, Reason};

use crate::{Instance, answers};

/// What is counted of one request.
struct Counted<'a> {
    api: &'a str,
    route: &'a str,
    status: StatusCode,
    reason: Reason,
}

pub(crate) async fn handle(
    instance: &'static Instance,
    request: Request,
) -> Result<Response, ErrorCode> {
    let arrived = SpinClock.now();
    let head = spin::request_head(&request);
    let (counted, result) = serve(instance, request, head).await;
    let took = SpinClock.now().saturating_sub(arrived);
    instance.meter.count(|counters| {
        counters.request(
            Api::Agent,
            counted.api,
            counted.route,
            counted.status.as_u16(),
            counted.reason,
            took,
        );
    });
    result
}

async fn serve(
    instance: &'static Instance,
    request: Request,
    head: RequestHead,
) -> (Counted<'static>, Result<Response, ErrorCode>) {
    if head.headers.is_too_large() {
        return own_answer("", "", answers::headers_too_large()).await;
    }
    let claims = ForwardedHeaders::of(&head, &instance.trust);
    let destination = match instance.router.route(&head, &claims.host) {
        Ok(destination) => destination,
        Err(failure) => {
            let api = match failure {
                RoutingFailure::NoService { api, .. } | RoutingFailure::WebSocket { api } => api,
                RoutingFailure::NoApi | RoutingFailure::DotSegment => "",
            };
            let answer =
                answers::not_routed(failure, surface_of(&head), instance.router.is_empty());
            return own_answer(api, "", answer).await;
        }
    };
    let quota = match admit(instance, destination.api, &head, &claims).await {
        Admission::Passed(quota) => quota,
        Admission::Refused(refusal) => {
            return refused(
                destination.api,
                destination.route,
                refusal,
                destination.surface,
            )
            .await;
        }
    };
    let has_body = head.has_body();
    let mut headers = head.headers;
    drop_unforwardable_headers(&mut headers);
    drop_internal_headers(&mut headers);
    claims.apply(&mut headers);
    if destination.service == DifyService::PluginDaemon {
        // As Dify's nginx writes it; plugins learn their own address by it.
        let hook_url = format!(
            "{}://{}{}",
            claims.proto,
            claims.host_name(),
            head.path_and_query
        );
        headers.set("dify-hook-url", hook_url);
    }
    let sent = spin::forward(
        request,
        Forwarded {
            method: &head.method,
            scheme: &destination.upstream.scheme,
            authority: &destination.upstream.authority,
            path_and_query: &destination.path_and_query,
            headers: &headers,
            has_body,
            timeouts: destination.timeouts,
        },
    )
    .await;
    match sent {
        Ok((status, response)) => {
            let reason = if status.is_server_error() {
                Reason::UpstreamStatus
            } else {
                Reason::Ok
            };
            (
                Counted {
                    api: destination.api,
                    route: destination.route,
                    status,
                    reason,
                },
                Ok(spin::with_headers(response, &quota)),
            )
        }
        Err(error) => {
            let origin = destination.upstream.origin();
            if !matches!(error, SendError::HostNotAllowed) {
                spin::log(&format!(
                    "{} {}: {origin}: {error}",
                    destination.api, destination.route
                ));
            }
            let answer =
                answers::not_sent(&error, destination.surface, destination.service, &origin);
            own_answer(destination.api, destination.route, answer).await
        }
    }
}

/// Counts a request under the API's limits.
async fn admit(
    instance: &'static Instance,
    api: &str,
    head: &RequestHead,
    claims: &ForwardedHeaders,
) -> Admission {
    if !instance.limits.has_rules(api) {
        return Admission::Passed(Vec::new());
    }
    let dify_app = instance.limits.dify_app(&head.headers);
    let facts = RequestFacts {
        headers: &head.headers,
        query: head.query(),
        client: claims.client,
        consumer: None,
        model: None,
        dify_app: dify_app.as_ref(),
    };
    instance.limits.admit(api, &facts, &instance.meter).await
}

async fn refused(
    api: &'static str,
    route: &'static str,
    refusal: Refusal,
    surface: Surface,
) -> (Counted<'static>, Result<Response, ErrorCode>) {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let answer = match &refusal.rejected_msg {
        Some(words) => Answer::text(status, refusal.reason, words),
        None => Answer::error(surface, status, refusal.reason, &refusal.message),
    };
    let counted = Counted {
        api,
        route,
        status,
        reason: refusal.reason,
    };
    (counted, answers::send_with(answer, &refusal.headers).await)
}

async fn own_answer(
    api: &'static str,
    route: &'static str,
    answer: Answer,
) -> (Counted<'static>, Result<Response, ErrorCode>) {
    let counted = Counted {
        api,
        route,
        status: answer.status,
        reason: answer.reason,
    };
    (counted, answers::send(answer).await)
}

/// Where no service is known: a page for a browser, Dify's JSON for everybody else.
fn surface_of(head: &RequestHead) -> Surface {
    let wants_page = head
        .headers
        .text("accept")
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        Surface::Page
    } else {
        Surface::Dify
    }
}

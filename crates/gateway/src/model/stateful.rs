//! Files, batches and responses: what a provider keeps under the key that made it.
//!
//! They go to the route's first target, on the way that is always this caller's, and are tried once: another provider,
//! or another key of this one, would not know what an id means.

mod exchange;
mod responses;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use spillway_llm::{
    Attempt, CallAnswer, ModelRequest, PoolWatch as _, Served, TargetPlace, retry_after,
};
use spillway_platform::{
    ForwardError, ForwardRequest, ForwardedBody, Platform, RequestHead, Timeouts,
};
use spillway_surface::{LocalReply, Subject, Surface};
use spillway_telemetry::Reason;
use spillway_upstream::{Failure, Outcome, Way};

use self::exchange::{answer_headers, place_at, read_error, request_headers};
use super::complete::{append_quota, describe};
use super::handler::{self, Received};
use super::record::CallOutcome;
use super::{ModelRuntime, Watch, body, replies};
use crate::Settlement;

/// As for other calls.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the request's body names a model that decides on its route, whatever its content type claims it is.
pub(super) fn names_model(head: &RequestHead, below: &str) -> bool {
    let versioned = spillway_llm::versioned(below);
    let path = versioned.strip_prefix("/v1").unwrap_or(&versioned);
    spillway_llm::names_model(&head.method, path)
}

/// A batch names its models in a file that is with the provider: it cannot be held to a consumer's list.
fn is_batch(head: &RequestHead, below: &str) -> bool {
    head.method == Method::POST
        && spillway_llm::versioned(below).trim_end_matches('/') == "/v1/batches"
}

/// A request whose body the gateway has read.
pub(super) async fn serve_in_hand<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    settlement: Settlement<P>,
    mut received: Received,
    head: &RequestHead,
    below: &str,
) -> Result<P::Response, P::Error> {
    let body = std::mem::take(&mut received.body);
    if !names_model(head, below) {
        let sent = ForwardedBody::Whole(body);
        return serve_body(runtime, settlement, received, sent, head, below, None).await;
    }
    let request = match body::read(&runtime.platform, body, received.operation).await {
        Ok(request) => request,
        Err(error) => {
            let answer = replies::unreadable(error);
            return replies::reply(runtime, settlement, answer).await;
        }
    };
    let sent = ForwardedBody::Whole(Bytes::new());
    serve_body(
        runtime,
        settlement,
        received,
        sent,
        head,
        below,
        Some(request),
    )
    .await
}

/// A request whose body the runtime moves.
pub(super) async fn serve<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    settlement: Settlement<P>,
    received: Received,
    request: P::Request,
    head: &RequestHead,
    below: &str,
) -> Result<P::Response, P::Error> {
    let limit = received.api.max_body_bytes;
    if head.content_length().is_some_and(|length| length > limit) {
        let answer = LocalReply::body_too_large(limit);
        return replies::reply(runtime, settlement, answer).await;
    }
    let body = if head.has_body() && head.content_length().is_none() {
        ForwardedBody::Counted { request, limit }
    } else {
        ForwardedBody::Spliced(request)
    };
    serve_body(runtime, settlement, received, body, head, below, None).await
}

async fn serve_body<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    mut settlement: Settlement<P>,
    mut received: Received,
    body: ForwardedBody<P::Request>,
    head: &RequestHead,
    below: &str,
    asked: Option<ModelRequest>,
) -> Result<P::Response, P::Error> {
    let api = Arc::clone(&received.api);
    let model = asked.as_ref().map(|asked| asked.model.clone());
    let found = match &asked {
        Some(asked) => handler::route_of(&received, head, below, asked),
        None => handler::find_route(&received, head, below, None),
    };
    let route = match found {
        Ok(route) => route,
        Err(answer) => return replies::reply(runtime, settlement, answer).await,
    };
    settlement.record.route = route.name.clone().into();
    if let Some(unlisted) = received.unlisted
        && !route.lists(&spillway_llm::versioned(below))
    {
        return replies::reply(runtime, settlement, unlisted.refusal(head)).await;
    }
    let is_unread = is_batch(head, below) || received.unlisted.is_some();
    if is_unread && api.is_restricted(received.consumer.as_deref()) {
        let answer = LocalReply::error(
            StatusCode::FORBIDDEN,
            Reason::Unauthorized,
            "This caller may use some models only, and what models this request names the gateway does not read.",
        );
        return replies::reply(runtime, settlement, answer).await;
    }
    let counted = handler::count(runtime, &mut received, head, model.as_deref(), &route).await;
    if let Err(answer) = counted {
        return replies::reply(runtime, settlement, answer).await;
    }
    runtime.refresh(&route).await;
    if let Some(mut asked) = asked {
        asked.apply(&route.parameters, received.operation);
        return responses::serve(runtime, settlement, &route, &asked, &received, head, below).await;
    }
    let place = route.targets.first();
    let way = place.and_then(|place| {
        let seconds = runtime.platform.since_1970().as_secs();
        place
            .pool
            .choose_by_affinity(runtime.platform.now(), seconds, received.whose())
    });
    let (Some(place), Some(way)) = (place, way) else {
        let answer = LocalReply::error(
            StatusCode::SERVICE_UNAVAILABLE,
            Reason::Misconfigured,
            "The provider of this route has no key that it takes. `spillway check gateway.yaml` shows which have run out.",
        );
        return replies::reply(runtime, settlement, answer).await;
    };
    send(
        runtime,
        settlement,
        &received,
        Sending { place, way, model },
        body,
        head,
        below,
    )
    .await
}

struct Sending<'r> {
    place: &'r TargetPlace,
    way: Way,
    model: Option<String>,
}

async fn send<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    settlement: Settlement<P>,
    received: &Received,
    to: Sending<'_>,
    body: ForwardedBody<P::Request>,
    head: &RequestHead,
    below: &str,
) -> Result<P::Response, P::Error> {
    let Sending { place, way, model } = to;
    let platform = &runtime.platform;
    let pool = &place.pool;
    let Some(upstream) = pool.upstream(way) else {
        return Err(platform.fail("a target without an endpoint"));
    };
    let secret = pool.key(way).map(|key| key.secret.as_str());
    let mut headers = request_headers(received, head, place, secret);
    if matches!(body, ForwardedBody::Whole(_)) {
        headers.remove("content-length");
    }
    let began = platform.now();
    let forwarded = platform
        .forward(
            body,
            ForwardRequest {
                method: &head.method,
                scheme: &upstream.scheme,
                authority: &upstream.authority,
                path_and_query: &place_at(upstream, received, head, below),
                headers: &headers,
                timeouts: Timeouts {
                    connect: CONNECT_TIMEOUT.min(place.timeout.longest),
                    first_byte: place.timeout.longest,
                    between_bytes: place.between_pieces,
                },
                join: None,
            },
        )
        .await;
    let is_error = |status: StatusCode| status.is_client_error() || status.is_server_error();
    // Where it leads is for the gateway's network, and the client's key is not the provider's.
    let is_redirect =
        |status: StatusCode| status.is_redirection() && status != StatusCode::NOT_MODIFIED;
    let failure = match &forwarded {
        Ok(answered) if is_redirect(answered.status) => Some(Failure::Reset),
        Ok(answered) if is_error(answered.status) => {
            Some(Failure::Status(answered.status.as_u16()))
        }
        Err(ForwardError::Send(error)) => Some(Failure::from(error)),
        Ok(_) | Err(_) => None,
    };
    let outcome = match (&forwarded, failure) {
        (Err(ForwardError::BodyTooLarge { .. } | ForwardError::ClientBrokeOff), _) => {
            Outcome::Unknown
        }
        (Ok(answered), Some(failure)) => {
            let told = retry_after(&answered.headers, platform.since_1970());
            Outcome::Failed(failure, told)
        }
        (Err(_), Some(failure)) => Outcome::Failed(failure, None),
        (_, None) => Outcome::Served,
    };
    let watch = Watch(Arc::clone(runtime));
    for transition in pool.report_sent(platform.now(), began, received.whose(), way, outcome) {
        watch.changed(pool, transition);
    }
    watch.suspects(pool);
    let asked = model.as_deref().unwrap_or_default();
    let attempt = Attempt {
        provider: place.provider().to_owned(),
        model: place.model_label(asked).to_owned(),
        endpoint: upstream.origin(),
        key: pool.key(way).map(|key| key.digest.clone()),
        failure,
        milliseconds: u64::try_from(platform.now().saturating_sub(began).as_millis())
            .unwrap_or(u64::MAX),
        detail: match &forwarded {
            Ok(answered) if is_redirect(answered.status) => {
                Some(format!("a redirect, {}", answered.status))
            }
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        },
    };
    let settle = move |status: StatusCode, reason| {
        CallOutcome {
            model: asked,
            is_stream: false,
            status,
            reason,
            attempts: &[attempt],
            usage: None,
            first_content: None,
            stop: None,
        }
        .settle(settlement);
    };
    let served = Served {
        provider: place.provider().to_owned(),
        model: if asked.is_empty() {
            String::new()
        } else {
            place.model_for(asked).to_owned()
        },
        request_id: None,
    };
    let answered = match forwarded {
        Ok(answered) => answered,
        Err(error) => {
            let reply = LocalReply::of_forward(&error, Subject::Provider);
            let mut answer = Surface::OpenAi.render(reply);
            settle(answer.status, answer.reason);
            describe(&mut answer.headers, Some(&served), 1);
            append_quota(&mut answer.headers, &received.quota);
            return replies::send(platform, answer, &received.request_id).await;
        }
    };
    if is_error(answered.status) {
        let (status, headers) = (answered.status, answered.headers.clone());
        let body = read_error(platform, answered).await;
        let mut answer = CallAnswer::passed_error(status, &headers, &body, pool);
        settle(answer.status, answer.reason);
        describe(&mut answer.headers, Some(&served), 1);
        append_quota(&mut answer.headers, &received.quota);
        return replies::send(platform, answer, &received.request_id).await;
    }
    if is_redirect(answered.status) {
        let reply = LocalReply::error(
            StatusCode::BAD_GATEWAY,
            Reason::UpstreamError,
            "The provider answered with a redirect, which the gateway does not follow. Its `base_url` in gateway.yaml should be where that leads.",
        );
        let mut answer = Surface::OpenAi.render(reply);
        settle(answer.status, answer.reason);
        describe(&mut answer.headers, Some(&served), 1);
        append_quota(&mut answer.headers, &received.quota);
        return replies::send(platform, answer, &received.request_id).await;
    }
    settle(answered.status, Reason::Ok);
    let headers = answer_headers(
        &answered.headers,
        received,
        Some(pool),
        Some(&served),
        1,
        Reason::Ok,
    );
    platform.splice(answered.status, &headers, answered.body)
}

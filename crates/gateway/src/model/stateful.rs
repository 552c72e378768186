//! Files, batches and responses: what a provider keeps under the key that made it.
//!
//! What the gateway does not read goes to the route's first target, with the credential and to the endpoint that are
//! always this caller's, and is tried once: another provider, or another key of this one, would not know what an id
//! means. `/v1/responses`, and what is below it that names a model, is served like a chat, by whatever target can, unless
//! it refers to something that a provider keeps.

mod exchange;
mod passing;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use spillway_llm::ModelRequest;
use spillway_platform::{ForwardedBody, Platform, RequestHead};
use spillway_surface::LocalReply;
use spillway_telemetry::Reason;

use self::passing::Outgoing;
use super::handler::{self, Received};
use super::{ModelRuntime, body, replies};
use crate::Settlement;

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
    mut asked: Option<ModelRequest>,
) -> Result<P::Response, P::Error> {
    let api = Arc::clone(&received.api);
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
    let model = asked.as_ref().map(|asked| asked.model.as_str());
    let counted = handler::count(runtime, &mut received, head, model, &route).await;
    if let Err(answer) = counted {
        return replies::reply(runtime, settlement, answer).await;
    }
    runtime.refresh(&route).await;
    let outgoing = match &mut asked {
        Some(asked) => {
            asked.apply(&route.parameters, received.operation);
            Outgoing::Read(asked)
        }
        None => Outgoing::Unread(Some(body)),
    };
    passing::serve(
        runtime, settlement, &route, outgoing, &received, head, below,
    )
    .await
}

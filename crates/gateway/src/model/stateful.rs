//! Files, batches and responses: what a provider keeps under the key that made it.
//!
//! What the gateway does not read goes to the route's first target, with the credential and to the endpoint that are
//! always this caller's, and is tried once: another provider, or another key of this one, would not know what an id
//! means. `/v1/responses`, and what is below it that names a model, is served like a chat, by whatever target can, unless
//! it refers to something that a provider keeps. The answer's body is moved by the runtime, unless a place is held to its end.

mod heads;

use std::sync::Arc;

use http::{Method, StatusCode};
use spillway_llm::{
    CallProgress, ModelRequest, PassFailure, Passed, PassedUsage, Passing, Route, StreamOptionsSent,
};
use spillway_platform::{
    ForwardError, ForwardRequest, ForwardedBody, ForwardedResponse, Headers, Platform, SendError,
};
use spillway_surface::{LocalReply, Peer};
use spillway_telemetry::Reason;

use self::heads::{answer_headers, place_at, read_error, request_headers};
use super::exchange::{CallEntry, ModelExchange};
use super::read::CallBody;
use super::{Reporter, call_of};
use crate::copying::{CopyEnd, copy, first_piece};

fn body_for<R>(outgoing: &mut CallBody<R>, passing: &Passing<'_>) -> Option<ForwardedBody<R>> {
    match outgoing {
        CallBody::Read(request) => {
            let model = passing.place.model_there(&request.model);
            let body = request.body_for(model, StreamOptionsSent::AsAsked);
            Some(ForwardedBody::Whole(body.into()))
        }
        CallBody::Unread(body) => body.take(),
    }
}

pub(super) async fn serve<P: Platform>(
    mut exchange: ModelExchange<P>,
    entry: &CallEntry,
    route: &Route,
    mut outgoing: CallBody<P::Request>,
) -> Result<P::Response, P::Error> {
    let reporter = Reporter(exchange.runtime.clone());
    let binding = outgoing.binding();
    let model = outgoing.model().unwrap_or_default().to_owned();
    let is_background = outgoing.request().is_some_and(ModelRequest::is_background);
    let progress = exchange
        .settlement
        .begin_call(&model, false, exchange.input, is_background);
    let call = call_of(&exchange, entry, &reporter, route, &model, &progress);
    let passed = call
        .pass(binding, async |passing| {
            let body = body_for(&mut outgoing, &passing);
            attempt(&exchange, entry, body, passing).await
        })
        .await;
    let Passed {
        outcome,
        place,
        served,
    } = passed;
    let attempts = progress.attempt_count();
    let pool = place.map(|place| Arc::clone(&place.pool));
    let (status, reason) = match &outcome {
        Ok(answered) if attempts > 1 => (answered.status, Reason::Fallback),
        Ok(answered) => (answered.status, Reason::Ok),
        Err(answer) => (answer.status, answer.reason),
    };
    exchange.settlement.set(status, reason);
    let served = served.as_ref();
    match outcome {
        Ok(answered) => {
            let (upstream_headers, pool) = (&answered.headers, pool.as_deref());
            let headers =
                answer_headers(&exchange, upstream_headers, pool, served, attempts, reason);
            answer(exchange, status, reason, headers, answered.body, progress).await
        }
        Err(answer) => exchange.answer(answer, served, attempts).await,
    }
}

/// Passes the answer on: past the instance, or through it where the call holds a place until its end.
async fn answer<P: Platform>(
    mut exchange: ModelExchange<P>,
    status: StatusCode,
    reason: Reason,
    headers: Headers,
    body: P::Unread,
    progress: Arc<CallProgress>,
) -> Result<P::Response, P::Error> {
    let platform = exchange.runtime.platform.clone();
    let has_body = exchange.head.method != Method::HEAD
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !has_body || exchange.settlement.permits.is_empty() {
        return platform.splice(status, &headers, body);
    }
    let body = platform.read(body);
    let mut body = body.map_err(|error| platform.fail(&error.to_string()))?;
    let first = first_piece(&platform, &mut body).await;
    let (writer, reader) = platform.response_stream();
    // Should the runtime give it up on its way.
    exchange.settlement.set(status, Reason::ClientLeft);
    platform.spawn(async move {
        let mut passed = PassedUsage::default();
        let counts_tokens = exchange.input.is_some();
        let see = |piece: &[u8]| {
            if counts_tokens {
                passed.push(piece);
                progress.set_usage(passed.usage(), passed.estimated_output());
            }
        };
        let reason = match copy::<P>(first, body, writer, see).await {
            CopyEnd::Complete => reason,
            CopyEnd::Broken => Reason::StreamBroken,
            CopyEnd::ClientLeft => Reason::ClientLeft,
        };
        passed.finish();
        if counts_tokens {
            progress.set_usage(passed.usage(), passed.estimated_output());
        }
        exchange.settlement.set(status, reason);
    });
    platform.respond_with_stream(status, &headers, reader).await
}

async fn attempt<P: Platform>(
    exchange: &ModelExchange<P>,
    entry: &CallEntry,
    body: Option<ForwardedBody<P::Request>>,
    passing: Passing<'_>,
) -> Result<ForwardedResponse<P::Unread>, PassFailure> {
    let Passing {
        place,
        upstream,
        secret,
        timeouts,
    } = passing;
    let Some(body) = body else {
        // It is sent once.
        return Err(PassFailure::Send(SendError::Other("no body".to_owned())));
    };
    let (platform, head) = (&exchange.runtime.platform, &exchange.head);
    let mut headers = request_headers(entry, head, place, secret);
    if matches!(body, ForwardedBody::Whole(_)) {
        headers.remove("content-length");
    }
    let forwarded = platform
        .forward(
            body,
            ForwardRequest {
                method: &head.method,
                scheme: &upstream.scheme,
                authority: &upstream.authority,
                path_and_query: &place_at(place, upstream, entry, head),
                headers: &headers,
                timeouts,
                join: None,
            },
        )
        .await;
    let is_error = |status: StatusCode| status.is_client_error() || status.is_server_error();
    // Where it leads is for the gateway's network, and the client's key is not the provider's.
    let is_redirect =
        |status: StatusCode| status.is_redirection() && status != StatusCode::NOT_MODIFIED;
    match forwarded {
        Ok(answered) if is_redirect(answered.status) => Err(PassFailure::Redirect(answered.status)),
        Ok(answered) if is_error(answered.status) => {
            let (status, headers) = (answered.status, answered.headers.clone());
            let body = read_error(platform, answered).await;
            Err(PassFailure::Status {
                status,
                headers,
                body,
            })
        }
        Ok(answered) => Ok(answered),
        Err(ForwardError::Send(error)) => Err(PassFailure::Send(error)),
        Err(error) => {
            let reply = LocalReply::of_forward(&error, Peer::Provider);
            Err(PassFailure::Client(Box::new(reply)))
        }
    }
}

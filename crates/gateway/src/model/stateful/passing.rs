//! A call of this kind through the loop of attempts: its answer's body is moved by the runtime.

use std::sync::Arc;

use http::StatusCode;
use spillway_llm::{Binding, ModelRequest, PassFailure, Passing, Route};
use spillway_platform::{
    ForwardError, ForwardRequest, ForwardedBody, ForwardedResponse, Platform, RequestHead,
    SendError,
};
use spillway_surface::{LocalReply, Subject};
use spillway_telemetry::Reason;

use super::exchange::{answer_headers, place_at, read_error, request_headers};
use crate::Settlement;
use crate::model::complete::{append_quota, describe};
use crate::model::handler::Received;
use crate::model::record::CallOutcome;
use crate::model::{ModelRuntime, Watch, call_of, replies};

/// What is sent.
pub(super) enum Outgoing<'r, R> {
    /// A request that the gateway has read: each target gets it with its own name for the model.
    Read(&'r ModelRequest),
    /// A body that it has not: there is one, and it is sent once.
    Unread(Option<ForwardedBody<R>>),
}

impl<R> Outgoing<'_, R> {
    fn model(&self) -> &str {
        match self {
            Self::Read(request) => &request.model,
            Self::Unread(_) => "",
        }
    }

    fn binding(&self) -> Binding {
        match self {
            Self::Read(request) if request.is_bound() => Binding::Kept,
            Self::Read(_) => Binding::Free,
            Self::Unread(_) => Binding::Unread,
        }
    }

    fn body_for(&mut self, passing: &Passing<'_>) -> Option<ForwardedBody<R>> {
        match self {
            Self::Read(request) => {
                let model = passing.place.model_there(&request.model);
                let body = request.body_without_usage_for(model);
                Some(ForwardedBody::Whole(body.into()))
            }
            Self::Unread(body) => body.take(),
        }
    }
}

pub(super) async fn serve<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    settlement: Settlement<P>,
    route: &Arc<Route>,
    mut outgoing: Outgoing<'_, P::Request>,
    received: &Received,
    head: &RequestHead,
    below: &str,
) -> Result<P::Response, P::Error> {
    let watch = Watch(Arc::clone(runtime));
    let platform = &runtime.platform;
    let (binding, model) = (outgoing.binding(), outgoing.model().to_owned());
    let call = call_of(runtime, &watch, route, &model, received);
    let passed = call
        .pass(binding, async |passing| {
            let body = outgoing.body_for(&passing);
            attempt(platform, body, received, head, below, passing).await
        })
        .await;
    let served = passed.served.as_ref();
    let attempts = passed.attempts.len();
    let settle = |status, reason| {
        CallOutcome {
            model: &model,
            is_stream: false,
            status,
            reason,
            attempts: &passed.attempts,
            usage: None,
            first_content: None,
            stop: passed.stop,
        }
        .settle(settlement);
    };
    match passed.outcome {
        Ok(answered) => {
            let reason = if attempts > 1 {
                Reason::Fallback
            } else {
                Reason::Ok
            };
            settle(answered.status, reason);
            let pool = passed.place.map(|place| &*place.pool);
            let headers =
                answer_headers(&answered.headers, received, pool, served, attempts, reason);
            platform.splice(answered.status, &headers, answered.body)
        }
        Err(mut answer) => {
            settle(answer.status, answer.reason);
            describe(&mut answer.headers, served, attempts);
            append_quota(&mut answer.headers, &received.quota);
            replies::send(platform, answer, &received.request_id).await
        }
    }
}

async fn attempt<P: Platform>(
    platform: &P,
    body: Option<ForwardedBody<P::Request>>,
    received: &Received,
    head: &RequestHead,
    below: &str,
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
    let mut headers = request_headers(received, head, place, secret);
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
                path_and_query: &place_at(place, upstream, received, head, below),
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
            let reply = LocalReply::of_forward(&error, Subject::Provider);
            Err(PassFailure::Client(Box::new(reply)))
        }
    }
}

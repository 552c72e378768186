//! `/v1/responses` and what is below it that names a model: served like a chat, by whatever target can, unless it refers
//! to something that a provider keeps.

use std::sync::Arc;

use spillway_llm::{ModelRequest, PassFailure, Passing, Route, TargetPlace};
use spillway_platform::{
    ForwardError, ForwardRequest, ForwardedBody, ForwardedResponse, Platform, RequestHead,
    SendError,
};
use spillway_telemetry::Reason;

use super::exchange::{answer_headers, place_at, read_error, request_headers};
use crate::Settlement;
use crate::model::complete::{append_quota, describe};
use crate::model::handler::Received;
use crate::model::record::CallOutcome;
use crate::model::{ModelRuntime, Watch, call_of, replies};

pub(super) async fn serve<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    settlement: Settlement<P>,
    route: &Arc<Route>,
    request: &ModelRequest,
    received: &Received,
    head: &RequestHead,
    below: &str,
) -> Result<P::Response, P::Error> {
    let watch = Watch(Arc::clone(runtime));
    let platform = &runtime.platform;
    let call = call_of(runtime, &watch, route, request, received);
    let passed = call
        .pass(async |passing| attempt(platform, request, received, head, below, passing).await)
        .await;
    let served = passed.served.as_ref();
    let attempts = passed.attempts.len();
    let settle = |status, reason| {
        CallOutcome {
            model: &request.model,
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
            let serves = |place: &&TargetPlace| {
                served.is_some_and(|served| served.provider == place.provider())
            };
            let pool = route.targets.iter().find(serves).map(|place| &*place.pool);
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
    request: &ModelRequest,
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
    let mut headers = request_headers(received, head, place, secret);
    headers.remove("content-length");
    let body = request.body_without_usage_for(place.model_there(&request.model));
    let forwarded = platform
        .forward(
            ForwardedBody::Whole(body.into()),
            ForwardRequest {
                method: &head.method,
                scheme: &upstream.scheme,
                authority: &upstream.authority,
                path_and_query: &place_at(upstream, received, head, below),
                headers: &headers,
                timeouts,
                join: None,
            },
        )
        .await;
    match forwarded {
        Ok(answered) if answered.status.is_redirection() => {
            Err(PassFailure::Redirect(answered.status))
        }
        Ok(answered) if !answered.status.is_success() => {
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
        // The body is in hand.
        Err(error) => Err(PassFailure::Send(SendError::Other(error.to_string()))),
    }
}

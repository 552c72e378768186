//! Sending what goes on as it is, once, and what its answer means for the pool.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use spillway_llm::{Attempt, CallAnswer, PoolWatch as _, Served, TargetPlace, retry_after};
use spillway_platform::{
    ForwardError, ForwardRequest, ForwardedBody, Platform, RequestHead, Timeouts,
};
use spillway_surface::{LocalReply, Subject, Surface};
use spillway_telemetry::Reason;
use spillway_upstream::{Failure, Outcome, Way};

use super::exchange::{answer_headers, place_at, read_error, request_headers};
use crate::Settlement;
use crate::model::complete::{append_quota, describe};
use crate::model::handler::Received;
use crate::model::record::CallOutcome;
use crate::model::{ModelRuntime, Watch, replies};

/// As for other calls.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where it goes.
pub(super) struct Sending<'r> {
    pub place: &'r TargetPlace,
    pub way: Way,
    pub model: Option<String>,
}

pub(super) async fn send<P: Platform>(
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

//! Answers in which no provider had a part.

use http::StatusCode;
use serde_json::json;
use spillway_forward::REQUEST_ID;
use spillway_llm::{Api, CallAnswer, NoRoute, RequestError};
use spillway_platform::{ForwardError, Platform, ReceiveError, SendError};
use spillway_telemetry::Reason;

use super::{ModelRuntime, admission};
use crate::{Refusal, Settlement};

pub(super) fn no_api(path: &str) -> CallAnswer {
    CallAnswer::error(
        StatusCode::NOT_FOUND,
        Reason::NotFound,
        &format!("There is no model API at {path}. `models` in gateway.yaml lists them."),
    )
}

/// A request that cannot be read.
pub(super) fn unreadable(error: &RequestError) -> CallAnswer {
    let document = json!({ "error": {
        "message": error.message, "type": "invalid_request_error", "param": error.param,
        "code": Reason::InvalidRequest.as_str(),
    } });
    let mut answer = CallAnswer::error(StatusCode::BAD_REQUEST, Reason::InvalidRequest, "");
    answer.body = document.to_string().into();
    answer
}

/// Refused by the gateway's own limits.
pub(super) fn refused(refusal: Refusal) -> CallAnswer {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let mut answer = CallAnswer::error(status, refusal.reason, &refusal.message);
    if let Some(words) = refusal.rejected_msg {
        answer
            .headers
            .set("content-type", "text/plain; charset=utf-8");
        answer.body = words.into();
    }
    for (name, value) in refusal.headers {
        answer.headers.append(name, value);
    }
    answer
}

pub(super) fn list_models(api: &Api, consumer: Option<&str>, id: Option<&str>) -> CallAnswer {
    let entry = |(model, provider): (&str, &str)| json!({ "id": model, "object": "model", "created": 0, "owned_by": provider });
    let models = api.models(consumer);
    let document = match id {
        None => {
            json!({ "object": "list", "data": models.into_iter().map(entry).collect::<Vec<_>>() })
        }
        Some(id) => {
            let id = &decoded(id);
            match models.into_iter().find(|(model, _)| model == id) {
                Some(found) => entry(found),
                None => return unknown_model(api, consumer, id),
            }
        }
    };
    let mut answer = CallAnswer::error(StatusCode::OK, Reason::Ok, "");
    answer.body = document.to_string().into();
    answer
}

/// A model's name out of a path. Only percent signs mean something there, not what else does in forms.
fn decoded(id: &str) -> String {
    let id = id
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    form_urlencoded::parse(id.as_bytes())
        .map(|(name, _)| name)
        .collect()
}

/// No route serves a call.
pub(super) fn not_routed(
    api: &Api,
    consumer: Option<&str>,
    model: Option<&str>,
    why: NoRoute,
) -> CallAnswer {
    match (why, model) {
        (NoRoute::Unknown, Some(model)) => unknown_model(api, consumer, model),
        (NoRoute::Unknown, None) => CallAnswer::error(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            "No route takes calls that name no model. One without `match.model` in gateway.yaml would.",
        ),
        (NoRoute::Forbidden, _) if consumer.is_none() => {
            admission::unauthorized("No key of a consumer was sent, and this is not for everybody.")
        }
        (NoRoute::Forbidden, Some(model)) => CallAnswer::error(
            StatusCode::FORBIDDEN,
            Reason::Unauthorized,
            &format!(
                "This caller may not use the model `{}`. GET /v1/models lists those that it may.",
                shown(model)
            ),
        ),
        (NoRoute::Forbidden, None) => CallAnswer::error(
            StatusCode::FORBIDDEN,
            Reason::Unauthorized,
            "This caller may not use this endpoint.",
        ),
    }
}

fn unknown_model(api: &Api, consumer: Option<&str>, model: &str) -> CallAnswer {
    let near = api.near(consumer, model);
    if near.first() == Some(&model) {
        return CallAnswer::error(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            &format!(
                "No route takes the model `{}` at this path and with these headers.",
                shown(model)
            ),
        );
    }
    let hint = if api.models(consumer).is_empty() {
        "Its routes take names by pattern: `match.model` in gateway.yaml has them.".to_owned()
    } else if near.is_empty() {
        "GET /v1/models lists those that there are.".to_owned()
    } else {
        format!("Did you mean `{}`?", near.join("` or `"))
    };
    CallAnswer::error(
        StatusCode::NOT_FOUND,
        Reason::NotFound,
        &format!("There is no model `{}` here. {hint}", shown(model)),
    )
}

/// The name is the client's own text: enough of it to be recognised.
pub(super) fn shown(model: &str) -> String {
    model.chars().take(100).collect()
}

pub(super) fn not_received(error: &ReceiveError) -> CallAnswer {
    match error {
        ReceiveError::TooLarge { limit } => CallAnswer::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            Reason::TooLarge,
            &format!(
                "The request body is larger than the {limit} bytes that this API takes (`max_body_size`)."
            ),
        ),
        ReceiveError::Broken(_) => CallAnswer::error(
            StatusCode::BAD_REQUEST,
            Reason::InvalidRequest,
            "The request body broke off.",
        ),
        ReceiveError::NoRoom(_) => CallAnswer::overloaded(
            "The gateway has too many large requests at once. Try again in a moment.",
        ),
        ReceiveError::TooSlow => CallAnswer::error(
            StatusCode::REQUEST_TIMEOUT,
            Reason::ClientTooSlow,
            "The request body did not come in time. Send it again.",
        ),
    }
}

/// The provider gave no answer to a call that is sent once.
pub(super) fn not_forwarded(error: &ForwardError) -> CallAnswer {
    let (status, reason, text) = match error {
        ForwardError::BodyTooLarge { limit } => {
            return not_received(&ReceiveError::TooLarge { limit: *limit });
        }
        ForwardError::ClientBrokeOff => {
            return not_received(&ReceiveError::Broken(String::new()));
        }
        ForwardError::Send(SendError::HostNotAllowed) => (
            StatusCode::BAD_GATEWAY,
            Reason::HostNotAllowed,
            "The gateway is not allowed to reach this model provider. Its log says which host spin.toml lacks.".to_owned(),
        ),
        ForwardError::Send(SendError::Connect(_) | SendError::ConnectTimeout) => (
            StatusCode::BAD_GATEWAY,
            Reason::UpstreamRefused,
            "The provider could not be reached. Try again later.".to_owned(),
        ),
        ForwardError::Send(SendError::ConnectionLimit) => {
            return CallAnswer::overloaded(
                "The gateway has as many connections open as it may. Try again in a moment.",
            );
        }
        ForwardError::Send(SendError::FirstByteTimeout | SendError::BetweenBytesTimeout) => (
            StatusCode::GATEWAY_TIMEOUT,
            Reason::UpstreamTimeout,
            "The provider did not answer in time. Try again later.".to_owned(),
        ),
        ForwardError::Send(SendError::Reset(_) | SendError::Other(_)) => (
            StatusCode::BAD_GATEWAY,
            Reason::UpstreamError,
            "The connection to the provider broke. Try again later.".to_owned(),
        ),
    };
    CallAnswer::error(status, reason, &text)
}

/// Answers in the gateway's own name: no provider had a part in it.
pub(super) async fn reply<P: Platform>(
    runtime: &ModelRuntime<P>,
    mut settlement: Settlement<P>,
    answer: CallAnswer,
) -> Result<P::Response, P::Error> {
    settlement.set(answer.status, answer.reason);
    send(&runtime.platform, answer, &settlement.record.request_id).await
}

/// Sends a complete answer, under the request's own name.
pub(super) async fn send<P: Platform>(
    platform: &P,
    answer: CallAnswer,
    request_id: &str,
) -> Result<P::Response, P::Error> {
    let mut headers = answer.headers;
    headers.append(REQUEST_ID, request_id);
    headers.append("x-gateway-reason", answer.reason.as_str());
    platform.respond(answer.status, headers, answer.body).await
}

/// Nothing can be served.
pub(super) fn misconfigured() -> CallAnswer {
    let text = "The gateway's configuration cannot be used. Its log says why.";
    CallAnswer::error(StatusCode::SERVICE_UNAVAILABLE, Reason::Misconfigured, text)
}

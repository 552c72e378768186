//! Replies in which no provider had a part.

use http::StatusCode;
use serde_json::json;
use spillway_llm::{ModelApi, NoRoute, RequestError};
use spillway_surface::{LocalReply, ReplyBody};
use spillway_telemetry::Reason;

use super::identify::unauthorized;

pub(super) fn no_api(path: &str) -> LocalReply {
    LocalReply::error(
        StatusCode::NOT_FOUND,
        Reason::NotFound,
        format!("There is no model API at {path}. `models` in gateway.yaml lists them."),
    )
}

/// A request that cannot be read.
pub(super) fn unreadable(error: RequestError) -> LocalReply {
    let mut reply = LocalReply::invalid("");
    reply.body = ReplyBody::Error {
        message: error.message,
        param: error.param.map(ToOwned::to_owned),
        code: None,
    };
    reply
}

pub(super) fn list_models(api: &ModelApi, consumer: Option<&str>, id: Option<&str>) -> LocalReply {
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
    LocalReply::json(StatusCode::OK, Reason::Ok, &document)
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
    api: &ModelApi,
    consumer: Option<&str>,
    model: Option<&str>,
    why: NoRoute,
) -> LocalReply {
    match (why, model) {
        (NoRoute::Unknown, Some(model)) => unknown_model(api, consumer, model),
        (NoRoute::Unknown, None) => LocalReply::error(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            "No route takes calls that name no model. One without `match.model` in gateway.yaml would.",
        ),
        (NoRoute::Forbidden, _) if consumer.is_none() => {
            unauthorized("No key of a consumer was sent, and this is not for everybody.")
        }
        (NoRoute::Forbidden, Some(model)) => LocalReply::error(
            StatusCode::FORBIDDEN,
            Reason::Unauthorized,
            format!(
                "This caller may not use the model `{}`. GET /v1/models lists those that it may.",
                shown(model)
            ),
        ),
        (NoRoute::Forbidden, None) => LocalReply::error(
            StatusCode::FORBIDDEN,
            Reason::Unauthorized,
            "This caller may not use this endpoint.",
        ),
    }
}

fn unknown_model(api: &ModelApi, consumer: Option<&str>, model: &str) -> LocalReply {
    let near = api.near(consumer, model);
    if near.first() == Some(&model) {
        return LocalReply::error(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            format!(
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
    LocalReply::error(
        StatusCode::NOT_FOUND,
        Reason::NotFound,
        format!("There is no model `{}` here. {hint}", shown(model)),
    )
}

/// The name is the client's own text: enough of it to be recognised.
pub(super) fn shown(model: &str) -> String {
    model.chars().take(100).collect()
}

/// The input is larger than the target's context window, in tokens.
pub(super) fn context_length_exceeded(window: u64) -> LocalReply {
    LocalReply::error(
        StatusCode::BAD_REQUEST,
        Reason::ContextLengthExceeded,
        // In OpenAI's words, by which clients and libraries know it.
        format!(
            "This model's maximum context length is {window} tokens. By the gateway's estimate your input is longer: reduce it."
        ),
    )
}

//! `/_gateway/health/live`, `/_gateway/health/ready` and `/_gateway/metrics`.

use http::{Method, StatusCode};
use serde_json::json;
use spillway_config::Gateway;
use spillway_forward::{Answer, Router, Surface};
use spillway_instance::{Limits, Totals, read_settings};
use spillway_model::Catalogue;
use spillway_platform::Headers;
use spillway_platform::spin::{self, ErrorCode, Request, Response};
use spillway_telemetry::{Reason, render};

use crate::sweep;

pub(crate) async fn handle(request: Request) -> Result<Response, ErrorCode> {
    let head = spin::request_head(&request);
    drop(request);
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    let answer = match head.path() {
        "/_gateway/health/live" | "/_gateway/health/ready" | "/_gateway/metrics" if !is_read => {
            error(
                StatusCode::METHOD_NOT_ALLOWED,
                Reason::MethodNotAllowed,
                "This path takes GET.",
            )
        }
        "/_gateway/health/live" => {
            Answer::json(StatusCode::OK, Reason::Ok, &json!({ "status": "live" }))
        }
        "/_gateway/health/ready" => {
            spin::spawn(sweep::remove_expired());
            ready().await
        }
        "/_gateway/metrics" => {
            spin::spawn(sweep::remove_expired());
            metrics().await
        }
        _ => error(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            "There is /_gateway/health/live, /_gateway/health/ready and /_gateway/metrics.",
        ),
    };
    let mut headers = Headers::default();
    headers.append("content-type", answer.content_type);
    headers.append("cache-control", "no-store");
    headers.append("x-gateway-reason", answer.reason.as_str());
    // The runtime leaves the body of an answer to HEAD out.
    spin::respond(answer.status, headers, answer.body).await
}

/// Ready: the configuration can be served by, and the store of what is counted answers.
async fn ready() -> Answer {
    let problem = match usable_settings().await {
        Err(problem) => Some(problem),
        Ok(gateway) => Totals::new(&gateway.state.redis)
            .read()
            .await
            .err()
            .map(|message| format!("the store does not answer: {message}")),
    };
    match problem {
        None => Answer::json(StatusCode::OK, Reason::Ok, &json!({ "status": "ready" })),
        Some(problem) => {
            spin::log(&format!("not ready: {problem}"));
            Answer::json(
                StatusCode::SERVICE_UNAVAILABLE,
                Reason::Misconfigured,
                &json!({ "status": "not ready", "problem": problem }),
            )
        }
    }
}

async fn usable_settings() -> Result<Gateway, String> {
    let gateway = read_settings().await.map_err(|error| error.to_string())?;
    Router::new(&gateway.agents).map_err(|error| error.to_string())?;
    Catalogue::new(&gateway).map_err(|error| error.to_string())?;
    spillway_knowledge::Catalogue::new(&gateway).map_err(|error| error.to_string())?;
    let agents = gateway
        .agents
        .iter()
        .map(|api| (api.name.as_str(), api.policies.rate_limits.as_slice()));
    let models = gateway
        .models
        .iter()
        .map(|api| (api.name.as_str(), api.policies.rate_limits.as_slice()));
    let knowledge = gateway
        .knowledge
        .iter()
        .map(|api| (api.name.as_str(), api.policies.rate_limits.as_slice()));
    Limits::new(&gateway, "any", agents.chain(models).chain(knowledge))?;
    Ok(gateway)
}

async fn metrics() -> Answer {
    let totals = match read_settings().await {
        Ok(gateway) => Totals::new(&gateway.state.redis).read().await,
        Err(error) => Err(error.to_string()),
    };
    match totals {
        Ok(totals) => Answer {
            status: StatusCode::OK,
            reason: Reason::Ok,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: render(&totals).into_bytes(),
        },
        Err(message) => {
            spin::log(&format!("metrics: {message}"));
            error(
                StatusCode::SERVICE_UNAVAILABLE,
                Reason::Misconfigured,
                "The totals cannot be read. The log says why.",
            )
        }
    }
}

fn error(status: StatusCode, reason: Reason, message: &str) -> Answer {
    Answer::error(Surface::Dify, status, reason, message)
}

//! `/_gateway/health/live`, `/_gateway/health/ready` and `/_gateway/metrics`.

use http::{Method, StatusCode};
use serde_json::json;
use spillway_config::{Credential, Gateway, OnError};
use spillway_forward::{Answer, Router, Surface};
use spillway_gateway::{Limits, Totals, read_settings};
use spillway_llm::Catalogue;
use spillway_platform::Headers;
use spillway_platform_spin::{self as spin, ErrorCode, Request, Response};
use spillway_state::Distance;
use spillway_telemetry::{Reason, render};
use spillway_upstream::key_digest;

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
            "Nothing is served at this path. Below /_gateway there are /_gateway/health/live, /_gateway/health/ready and /_gateway/metrics.",
        ),
    };
    let mut headers = Headers::default();
    headers.append("content-type", answer.content_type);
    headers.append("cache-control", "no-store");
    headers.append("x-gateway-reason", answer.reason.as_str());
    // The runtime leaves the body of an answer to HEAD out.
    spin::respond(answer.status, headers, answer.body.into()).await
}

/// Ready: the configuration can be served by, and every policy that lets nothing pass without the store can use it.
/// Where all of them let requests pass then, a store that is gone is told, but is no reason to send no requests here;
/// nor is one that is far away.
async fn ready() -> Answer {
    let (gateway, limits) = match usable_settings().await {
        Ok(usable) => usable,
        Err(problem) => return not_ready(&problem),
    };
    let problem = match limits.probe(&gateway.state.redis).await {
        Ok(Distance::Near) => {
            return Answer::json(StatusCode::OK, Reason::Ok, &json!({ "status": "ready" }));
        }
        Ok(Distance::Far(message)) => return degraded(&message),
        Ok(Distance::TooFar(message)) => message,
        Err(message) => format!("the store does not answer: {message}"),
    };
    if needs_store(&gateway, &limits) {
        not_ready(&problem)
    } else {
        degraded(&problem)
    }
}

fn degraded(problem: &str) -> Answer {
    let told = json!({ "status": "ready", "degraded": problem });
    Answer::json(StatusCode::OK, Reason::Ok, &told)
}

fn not_ready(problem: &str) -> Answer {
    spin::log(&format!("not ready: {problem}"));
    Answer::json(
        StatusCode::SERVICE_UNAVAILABLE,
        Reason::Misconfigured,
        &json!({ "status": "not ready", "problem": problem }),
    )
}

/// Whether some policy lets nothing pass while the store is gone: a limit, or signed requests, which are let through
/// once.
fn needs_store(gateway: &Gateway, limits: &Limits) -> bool {
    let signs = gateway
        .consumers
        .iter()
        .flat_map(|consumer| &consumer.credentials)
        .any(|credential| matches!(credential, Credential::Hmac(_)));
    limits.deny_on_error() || (signs && gateway.state.on_error == OnError::Deny)
}

async fn usable_settings() -> Result<(Gateway, Limits), String> {
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
    let limits = Limits::new(&gateway, "any", agents.chain(models).chain(knowledge))?;
    Ok((gateway, limits))
}

async fn metrics() -> Answer {
    let read = match read_settings().await {
        Ok(gateway) => {
            let totals = Totals::new(&gateway.state.redis).read().await;
            totals.map(|totals| (gateway, totals))
        }
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok((gateway, totals)) => Answer {
            status: StatusCode::OK,
            reason: Reason::Ok,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: format!("{}{}", render(&totals), key_expiries(&gateway)).into_bytes(),
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

/// When providers' keys run out: the one thing here that is read off the configuration, as an alarm has to go off
/// before anything fails.
fn key_expiries(gateway: &Gateway) -> String {
    const NAME: &str = "spillway_provider_key_expiry_timestamp_seconds";
    let mut lines = String::new();
    for provider in &gateway.providers {
        for key in &provider.api_keys {
            if let Some(expires) = key.expires {
                lines.push_str(&format!(
                    "{NAME}{{provider=\"{}\",key=\"{}\"}} {}\n",
                    provider.name,
                    key_digest(&key.key),
                    expires.unix_seconds()
                ));
            }
        }
    }
    if lines.is_empty() {
        return lines;
    }
    format!("# HELP {NAME} When a provider's key is no longer used.\n# TYPE {NAME} gauge\n{lines}")
}

fn error(status: StatusCode, reason: Reason, message: &str) -> Answer {
    Answer::error(Surface::Dify, status, reason, message)
}

//! The gateway's own paths: `/_gateway/health/live`, `/_gateway/health/ready` and `/_gateway/metrics`.

mod in_force;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;
use spillway_config::{Credential, Gateway, OnError};
use spillway_forward::{REQUEST_ID, Router};
use spillway_limit::DigestKey;
use spillway_llm::ModelCatalogue;
use spillway_platform::{Platform, State, StateLocation};
use spillway_state::Distance;
use spillway_surface::{LocalReply, Surface};
use spillway_telemetry::{ApiKind, Reason, render, totals_version};
use spillway_upstream::key_digest;

use self::in_force::{ConfigHealth, InForce};
use crate::Log;
use crate::digest_secret::digest_secret;
use crate::limits::ApiLimits;
use crate::settings::read_settings;
use crate::settlement::begin_record;

/// What an instance knows that answers for the gateway itself.
pub struct Console<P: Platform> {
    platform: P,
    state: Arc<P::State>,
    log: Log<P>,
    /// How much longer than the way takes requests wait for the store.
    timeout: Duration,
    /// Whether some policy lets nothing pass while the store is gone.
    requires_store: bool,
    key_expiries: String,
    in_force: InForce,
}

impl<P: Platform> Console<P> {
    /// Reads the configuration, and sees whether all kinds of APIs can serve by it.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub async fn start(platform: P) -> Result<Self, String> {
        let settings = read_settings(&platform).await;
        let settings = settings.map_err(|error| error.to_string())?;
        let version = settings.version();
        let gateway = settings.gateway;
        let denies = prepare_all(&gateway)?;
        Ok(Self {
            state: Arc::new(platform.open_state(StateLocation {
                redis: gateway.state.redis.to_string(),
            })),
            log: Log::new(platform.clone(), &gateway.telemetry.log),
            in_force: InForce::new(&platform, version),
            platform,
            timeout: gateway.state.timeout.duration(),
            requires_store: denies || signs_and_denies(&gateway),
            key_expiries: key_expiries(&gateway),
        })
    }

    /// Ready: every policy that lets nothing pass without the store can use it. Where all of them let requests pass
    /// then, a store that is gone is told, but is no reason to send no requests here; nor is one that is far away.
    async fn ready(&self) -> LocalReply {
        let distance = self.state.probe().await;
        let config = self.in_force.health(&self.platform).await;
        let problem = match distance.map(|distance| Distance::of(distance, self.timeout)) {
            Ok(Distance::Near) => {
                let body = json!({ "status": "ready", "config": config });
                return LocalReply::json(StatusCode::OK, Reason::Ok, &body);
            }
            Ok(Distance::Far(message)) => return degraded(&message, &config),
            Ok(Distance::TooFar(message)) => message,
            Err(error) => format!("the store does not answer: {error}"),
        };
        if self.requires_store {
            not_ready(&self.log, Reason::StateUnavailable, &problem, Some(&config))
        } else {
            degraded(&problem, &config)
        }
    }

    async fn metrics(&self) -> LocalReply {
        match self.state.totals(&totals_version()).await {
            Ok(totals) => {
                let totals: BTreeMap<String, u64> = totals.into_iter().collect();
                let config = self.in_force.metrics(&self.platform).await;
                LocalReply::document(
                    StatusCode::OK,
                    Reason::Ok,
                    "text/plain; version=0.0.4; charset=utf-8",
                    format!("{}{}{config}", render(&totals), self.key_expiries),
                )
            }
            Err(error) => no_metrics(&self.log, Reason::StateUnavailable, &error.to_string()),
        }
    }

    /// Removes what has expired, where the store does not do so itself: off the request's path.
    fn sweep(&self) {
        let (log, state) = (self.log.clone(), Arc::clone(&self.state));
        self.platform.spawn(async move {
            if let Err(error) = state.sweep().await {
                log.warn(&format!("expired counts stay: {error}"));
            }
        });
    }
}

/// Answers a request; `console` is what is wrong where the configuration cannot be used.
///
/// # Errors
/// The platform's, where there can be no answer.
pub async fn handle<P: Platform>(
    platform: &P,
    console: Result<&Console<P>, &str>,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let arrived = platform.now();
    let head = platform.head(&request);
    drop(request);
    let log = match console {
        Ok(console) => console.log.clone(),
        Err(_) => Log::new(platform.clone(), &spillway_config::LogConfig::default()),
    };
    let mut record = begin_record(platform, ApiKind::Console, &head);
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    let answer = match (head.path(), console) {
        ("/_gateway/health/live" | "/_gateway/health/ready" | "/_gateway/metrics", _)
            if !is_read =>
        {
            LocalReply::error(
                StatusCode::METHOD_NOT_ALLOWED,
                Reason::MethodNotAllowed,
                "This path takes GET.",
            )
        }
        ("/_gateway/health/live", _) => {
            LocalReply::json(StatusCode::OK, Reason::Ok, &json!({ "status": "live" }))
        }
        ("/_gateway/health/ready", Ok(console)) => {
            console.sweep();
            console.ready().await
        }
        ("/_gateway/health/ready", Err(problem)) => {
            not_ready(&log, Reason::Misconfigured, problem, None)
        }
        ("/_gateway/metrics", Ok(console)) => {
            console.sweep();
            console.metrics().await
        }
        ("/_gateway/metrics", Err(problem)) => no_metrics(&log, Reason::Misconfigured, problem),
        _ => LocalReply::error(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            "Nothing is served at this path. Below /_gateway there are /_gateway/health/live, /_gateway/health/ready and /_gateway/metrics.",
        ),
    };
    record.status = answer.status.as_u16();
    record.reason = answer.reason;
    record.took = platform.now().saturating_sub(arrived);
    log.record(&record);
    let reply = answer
        .with_header("cache-control", "no-store")
        .with_header(REQUEST_ID, record.request_id);
    let rendered = Surface::Dify.render(reply);
    // The runtime leaves the body of an answer to HEAD out.
    platform
        .respond(rendered.status, rendered.headers, rendered.body)
        .await
}

/// Prepares what all kinds of APIs need. Says whether some limit lets no request pass that it cannot count.
fn prepare_all(gateway: &Gateway) -> Result<bool, String> {
    Router::new(&gateway.agents).map_err(|error| error.to_string())?;
    ModelCatalogue::new(gateway).map_err(|error| error.to_string())?;
    spillway_knowledge::KnowledgeCatalogue::new(gateway).map_err(|error| error.to_string())?;
    let digest = DigestKey::new(digest_secret(gateway).as_bytes());
    let agents = gateway.agents.iter().map(ApiLimits::of_agents);
    let models = gateway.models.iter().map(ApiLimits::of_models);
    let knowledge = gateway.knowledge.iter().map(ApiLimits::of_knowledge);
    let mut denies = false;
    for limits in agents.chain(models).chain(knowledge) {
        let rules = limits
            .rules(limits.name, &gateway.state, &digest)
            .map_err(|error| format!("API `{}`: {error}", limits.name))?;
        denies |= rules.deny_on_error();
    }
    Ok(denies)
}

/// Whether signed requests, which are let through once, are refused while nobody can tell whether they were.
fn signs_and_denies(gateway: &Gateway) -> bool {
    let mut credentials = gateway
        .consumers
        .iter()
        .flat_map(|consumer| &consumer.credentials);
    gateway.state.on_error == OnError::Deny
        && credentials.any(|credential| matches!(credential, Credential::Hmac(_)))
}

fn degraded(problem: &str, config: &ConfigHealth) -> LocalReply {
    let body = json!({ "status": "ready", "degraded": problem, "config": config });
    LocalReply::json(StatusCode::OK, Reason::Ok, &body)
}

fn not_ready<P: Platform>(
    log: &Log<P>,
    reason: Reason,
    problem: &str,
    config: Option<&ConfigHealth>,
) -> LocalReply {
    log.warn(&format!("not ready: {problem}"));
    let body = match config {
        None => json!({ "status": "not ready", "problem": problem }),
        Some(config) => {
            json!({ "status": "not ready", "problem": problem, "config": config })
        }
    };
    LocalReply::json(StatusCode::SERVICE_UNAVAILABLE, reason, &body)
}

fn no_metrics<P: Platform>(log: &Log<P>, reason: Reason, problem: &str) -> LocalReply {
    log.warn(&format!("metrics: {problem}"));
    LocalReply::error(
        StatusCode::SERVICE_UNAVAILABLE,
        reason,
        "The totals cannot be read. The log says why.",
    )
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

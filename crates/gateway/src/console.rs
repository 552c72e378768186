//! The gateway's own paths: `/_gateway/health/live`, `/_gateway/health/ready`, `/_gateway/metrics` and `/_gateway/api/`.

mod admin;
mod in_force;
mod limits;
mod metrics;
mod ready;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;
use spillway_config::{Credential, Gateway, MIN_ADMIN_TOKEN, OnError, Secret, is_short_token};
use spillway_forward::{REQUEST_ID, Router};
use spillway_identity::AdminToken;
use spillway_limit::{DigestKey, Rules};
use spillway_llm::ModelCatalogue;
use spillway_platform::{Platform, RequestHead, State, StateLocation};
use spillway_surface::{LocalReply, Surface};
use spillway_telemetry::{ApiKind, Reason};

use self::in_force::InForce;
use self::metrics::{key_expiries, no_metrics};
use self::ready::not_ready;
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
    /// Where that is. It may hold a password.
    redis: Secret,
    /// How long requests wait for the store.
    timeout: Duration,
    /// Whether some policy lets nothing pass while the store is gone.
    requires_store: bool,
    key_expiries: String,
    in_force: InForce,
    admin_token: Option<AdminToken>,
    digest: DigestKey,
    /// The limits of all APIs.
    rules: Vec<Rules>,
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
        let token = gateway.admin.token.as_str();
        if !token.is_empty() && is_short_token(token) {
            // It is filled in here: `check` could not see it.
            return Err(format!(
                "the configuration cannot be used: `admin.token` has fewer than {MIN_ADMIN_TOKEN} letters and can be found by trying. Set it to what `openssl rand -hex 32` gives"
            ));
        }
        let digest = DigestKey::new(digest_secret(&gateway).as_bytes());
        let rules = prepare_all(&gateway, &digest)?;
        let denies = rules.iter().any(Rules::deny_on_error);
        Ok(Self {
            state: Arc::new(platform.open_state(StateLocation {
                redis: gateway.state.redis.to_string(),
            })),
            log: Log::new(platform.clone(), &gateway.telemetry.log),
            in_force: InForce::new(&platform, version),
            platform,
            timeout: gateway.state.timeout.duration(),
            redis: gateway.state.redis.clone(),
            requires_store: denies || signs_and_denies(&gateway),
            key_expiries: key_expiries(&gateway),
            admin_token: AdminToken::new(&gateway.admin.token),
            digest,
            rules,
        })
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
    let answer = answer(console, &log, &head).await;
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

async fn answer<P: Platform>(
    console: Result<&Console<P>, &str>,
    log: &Log<P>,
    head: &RequestHead,
) -> LocalReply {
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    match (head.path(), console) {
        ("/_gateway/health/live" | "/_gateway/health/ready" | "/_gateway/metrics", _)
            if !is_read =>
        {
            only_read()
        }
        ("/_gateway/health/live", _) => {
            LocalReply::json(StatusCode::OK, Reason::Ok, &json!({ "status": "live" }))
        }
        ("/_gateway/health/ready", Ok(console)) => {
            console.sweep();
            console.ready().await
        }
        ("/_gateway/health/ready", Err(problem)) => {
            not_ready(log, Reason::Misconfigured, problem, None)
        }
        ("/_gateway/metrics", Ok(console)) => {
            console.sweep();
            console.metrics().await
        }
        ("/_gateway/metrics", Err(problem)) => no_metrics(log, Reason::Misconfigured, problem),
        (path, Ok(console)) if path.starts_with(admin::PREFIX) => {
            console.admin(head, is_read).await.unwrap_or_else(nothing)
        }
        (path, Err(problem)) if path.starts_with(admin::PREFIX) => {
            not_ready(log, Reason::Misconfigured, problem, None)
        }
        _ => nothing(),
    }
}

fn only_read() -> LocalReply {
    LocalReply::error(
        StatusCode::METHOD_NOT_ALLOWED,
        Reason::MethodNotAllowed,
        "This path takes GET.",
    )
}

fn nothing() -> LocalReply {
    LocalReply::error(
        StatusCode::NOT_FOUND,
        Reason::NotFound,
        "Nothing is served at this path. Below /_gateway there are /_gateway/health/live, /_gateway/health/ready, /_gateway/metrics and, with `admin.token`, /_gateway/api/limits.",
    )
}

/// Prepares what all kinds of APIs need, and gives their limits.
fn prepare_all(gateway: &Gateway, digest: &DigestKey) -> Result<Vec<Rules>, String> {
    Router::new(&gateway.agents).map_err(|error| error.to_string())?;
    ModelCatalogue::new(gateway).map_err(|error| error.to_string())?;
    spillway_knowledge::KnowledgeCatalogue::new(gateway).map_err(|error| error.to_string())?;
    let agents = gateway.agents.iter().map(ApiLimits::of_agents);
    let models = gateway.models.iter().map(ApiLimits::of_models);
    let knowledge = gateway.knowledge.iter().map(ApiLimits::of_knowledge);
    let apis = agents.chain(models).chain(knowledge);
    apis.map(|limits| limits.rules(&gateway.state, digest))
        .collect()
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

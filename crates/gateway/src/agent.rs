//! The path of a request to a Dify app.

mod admit;
mod answering;
mod exchange;
mod forwarding;
mod joining;
mod read;
mod replies;
mod run;
mod watch;

use std::sync::Arc;

use http::{Method, StatusCode};
use spillway_forward::{Destination, Router, RoutingFailure, ambiguity};
use spillway_platform::{ForwardedResponse, JoinKey, Platform};
use spillway_surface::{LocalReply, Surface};
use spillway_telemetry::{Api, Reason};

use self::admit::{Steps, admit};
use self::exchange::Exchange;
use self::read::{read, reads_end_user};
use crate::runtime::configuration;
use crate::{Log, Passage, Runtime, Settlement};

/// What an instance knows that serves agent APIs.
pub type AgentRuntime<P> = Runtime<P, Agents>;

/// The agent APIs.
#[derive(Debug)]
pub struct Agents {
    router: Router,
    /// Where the host can join connections, and a WebSocket can pass.
    join_key: Option<JoinKey>,
}

/// Reads the configuration.
///
/// # Errors
/// What is wrong, for the operator.
pub async fn start<P: Platform>(platform: P) -> Result<AgentRuntime<P>, String> {
    let gateway = configuration(&platform).await?;
    let agents = Agents {
        router: Router::new(&gateway.agents).map_err(|error| error.to_string())?,
        join_key: platform.join_key(),
    };
    let rate_limits = gateway
        .agents
        .iter()
        .map(|api| (api.name.as_str(), api.policies.rate_limits.as_slice()));
    Runtime::new(platform, &gateway, "agent", rate_limits, |_| agents)
}

/// Answers a request.
///
/// # Errors
/// The platform's, where there can be no answer.
pub async fn handle<P: Platform>(
    runtime: &Arc<AgentRuntime<P>>,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let platform = &runtime.platform;
    let head = platform.head(&request);
    let (settlement, claims) = Settlement::begin(runtime, Api::Agent, &head);
    let mut exchange = Exchange {
        runtime: Arc::clone(runtime),
        settlement,
        claims,
        head,
    };
    let head = &exchange.head;
    if head.headers.is_too_large() {
        return exchange.reply(None, LocalReply::headers_too_large()).await;
    }
    if let Some(words) = ambiguity(&head.headers) {
        return exchange.reply(None, LocalReply::invalid(words)).await;
    }
    if matches!(head.method, Method::TRACE | Method::CONNECT) {
        // TRACE would echo cookies, and what the gateway itself adds, to whoever asks. CONNECT would leave without its
        // path, as a request for a tunnel.
        let reply = replies::method_not_allowed(&head.method);
        return exchange.reply(None, reply).await;
    }
    match runtime.apis.router.route(head, &exchange.claims.host) {
        Ok(destination) => {
            exchange.found(&destination);
            serve(exchange, destination, request).await
        }
        Err(failure) => {
            if let RoutingFailure::NoService { api, .. } = &failure {
                exchange.settlement.record.name = Arc::clone(api).into();
            }
            let no_apis = runtime.apis.router.is_empty();
            let answer = replies::not_routed(&failure, no_apis);
            exchange.reply(None, answer).await
        }
    }
}

/// Goes through the phases, and answers.
async fn serve<P: Platform>(
    mut exchange: Exchange<P>,
    destination: Destination,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    match attempt(&mut exchange, &destination, request).await {
        Ok(attempted) => answering::answer(exchange, destination, attempted).await,
        Err(reply) => exchange.reply(Some(&destination), reply).await,
    }
}

/// What came of a request that passed every phase.
struct Attempted<P: Platform> {
    answered: ForwardedResponse<P::Unread>,
    /// Header fields that tell the client of its limits.
    quota: Vec<(&'static str, String)>,
    /// Dify's `user`, where the body was read for it.
    end_user: Option<String>,
}

/// The phases, each of which may reply in the gateway's own name.
async fn attempt<P: Platform>(
    exchange: &mut Exchange<P>,
    destination: &Destination,
    request: P::Request,
) -> Result<Attempted<P>, LocalReply> {
    look_at_head(exchange, destination)?;
    let reads = reads_end_user(exchange, destination);
    let steps = Steps::of(exchange, destination, reads);
    let passage = admit(exchange, destination, None, steps.head, Passage::default()).await?;
    let mut body = read(exchange, destination, reads, request).await?;
    let end_user = body.end_user.take();
    let passage = admit(
        exchange,
        destination,
        end_user.as_deref(),
        steps.body,
        passage,
    )
    .await?;
    exchange.settlement.permits = passage.permits;
    let answered = match forwarding::send(exchange, destination, &mut body).await {
        Ok(answered) => answered,
        Err(error) => {
            let origin = destination.upstream.origin();
            exchange.settlement.record.error = Some(format!("{origin}: {error}"));
            return Err(replies::not_forwarded(&error, destination));
        }
    };
    // Below `/v1` Dify answers so where it does not know the key.
    if answered.status == StatusCode::UNAUTHORIZED && destination.user_place.is_some() {
        exchange.runtime.limits.forget(passage.forgettable);
    }
    Ok(Attempted {
        answered,
        quota: passage.headers,
        end_user,
    })
}

/// What the head alone decides: redirects, preflights, WebSockets that cannot pass, sizes.
fn look_at_head<P: Platform>(
    exchange: &Exchange<P>,
    destination: &Destination,
) -> Result<(), LocalReply> {
    let head = &exchange.head;
    let rules = &destination.rules;
    if rules.redirect_to_https && exchange.claims.proto == "http" {
        return Err(replies::to_https(head, exchange.claims.host_name()));
    }
    if let Some(headers) = rules.cors.as_ref().and_then(|cors| cors.preflight(head)) {
        let mut reply = LocalReply::empty(StatusCode::NO_CONTENT, Reason::Ok);
        reply.headers = headers;
        return Err(reply);
    }
    if joining::is_in_vain(exchange, destination) {
        return Err(replies::websocket_cannot_pass());
    }
    let limit = rules.max_body_bytes;
    if head.content_length().is_some_and(|length| length > limit) {
        return Err(replies::body_too_large(destination, limit));
    }
    Ok(())
}

/// Nothing can be served: the operator must act, so the operator is told.
///
/// # Errors
/// As [`handle`].
pub async fn misconfigured<P: Platform>(
    platform: &P,
    problem: &str,
) -> Result<P::Response, P::Error> {
    Log::new(platform.clone(), &spillway_config::Log::default()).error(problem);
    let rendered = Surface::Dify.render(LocalReply::misconfigured());
    platform
        .respond(rendered.status, rendered.headers, rendered.body)
        .await
}

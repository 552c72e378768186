//! The path of a request to a Dify app.

mod admit;
mod answering;
mod exchange;
mod forwarding;
mod joining;
mod read;
mod replies;
mod routing;
mod run;
mod watch;

use std::sync::Arc;

use http::StatusCode;
use spillway_forward::{Destination, Router};
use spillway_platform::{ForwardError, ForwardedResponse, JoinKey, Platform, SendError};
use spillway_surface::{LocalReply, Surface};
use spillway_telemetry::ApiKind;

use self::admit::{Steps, admit, begins_run};
use self::exchange::AgentExchange;
use self::read::{read, reads_end_user};
use self::routing::{check_head, route};
pub(crate) use self::run::RunRecord;
use crate::call_usage::CallUsage;
use crate::limits::ApiLimits;
use crate::runtime::configuration;
use crate::{Passage, Runtime, Settlement, misconfigured};

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
    let limits = gateway.agents.iter().map(ApiLimits::of_agents);
    Runtime::new(platform, &gateway, "agent", limits, |_| agents)
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
    let (settlement, claims) = Settlement::begin(runtime, ApiKind::Agent, &head);
    let mut exchange = AgentExchange {
        runtime: Arc::clone(runtime),
        settlement,
        claims,
        head,
    };
    let destination = match route(&mut exchange) {
        Ok(destination) => destination,
        Err(reply) => return exchange.reply(None, reply).await,
    };
    match serve(&mut exchange, &destination, request).await {
        Ok(served) => answering::answer(exchange, destination, served).await,
        Err(reply) => exchange.reply(Some(&destination), reply).await,
    }
}

/// What came of a request that passed every phase.
struct Served<P: Platform> {
    answered: ForwardedResponse<P::Unread>,
    /// Header fields that tell the client of its limits.
    quota: Vec<(&'static str, String)>,
    /// Dify's `user`, where the body was read for it.
    end_user: Option<String>,
}

/// The phases, each of which may reply in the gateway's own name.
async fn serve<P: Platform>(
    exchange: &mut AgentExchange<P>,
    destination: &Destination,
    request: P::Request,
) -> Result<Served<P>, LocalReply> {
    check_head(exchange, destination)?;
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
    if begins_run(exchange, destination) {
        exchange.settlement.unheard = Some(CallUsage::UNHEARD);
    }
    let answered = match forwarding::send(exchange, destination, &mut body).await {
        Ok(answered) => answered,
        Err(error) => {
            if !may_have_arrived(&error) {
                exchange.settlement.unheard = None;
            }
            let origin = destination.upstream.origin();
            exchange.settlement.record.error = Some(format!("{origin}: {error}"));
            return Err(replies::not_forwarded(&error, destination));
        }
    };
    // Below `/v1` Dify answers so where it does not know the key.
    if answered.status == StatusCode::UNAUTHORIZED && destination.user_place.is_some() {
        exchange.runtime.limits.forget(passage.forgettable);
    }
    Ok(Served {
        answered,
        quota: passage.headers,
        end_user,
    })
}

/// Whether Dify may have begun what it was asked for.
const fn may_have_arrived(error: &ForwardError) -> bool {
    match error {
        ForwardError::Send(error) => !matches!(
            error,
            SendError::Connect(_)
                | SendError::ConnectTimeout
                | SendError::ConnectionLimit
                | SendError::HostNotAllowed
        ),
        ForwardError::BodyTooLarge { .. } | ForwardError::ClientBrokeOff => false,
    }
}

/// Answers while nothing can be served, for this reason.
///
/// # Errors
/// As [`handle`].
pub async fn misconfigured<P: Platform>(
    platform: &P,
    problem: &str,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let reply = LocalReply::misconfigured();
    misconfigured::answer(
        platform,
        request,
        problem,
        ApiKind::Agent,
        Surface::Dify,
        reply,
    )
    .await
}

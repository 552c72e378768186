//! The path of a request to a Dify app: route, admit, forward, answer.

mod answering;
mod exchange;
mod forwarding;
mod handler;
mod joining;
mod replies;
mod run;
mod watch;

use spillway_forward::Router;
use spillway_platform::{JoinKey, Platform};
use spillway_surface::{LocalReply, Surface};

use crate::runtime::configuration;
use crate::{Log, Runtime};

pub use handler::handle;

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

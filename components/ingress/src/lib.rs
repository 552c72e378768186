//! The component `ingress`: Dify's traffic in. It exports the handler and chooses the platform; the path of a request is
//! `spillway_gateway::agent`.
#![cfg(target_arch = "wasm32")]

use std::sync::{Arc, OnceLock};

use spillway_gateway::agent::{self, AgentRuntime};
use spillway_platform_spin::{ErrorCode, Request, Response, Spin};
use spin_sdk::wasip3::exports::http::handler::Guest;

static RUNTIME: OnceLock<Arc<AgentRuntime<Spin>>> = OnceLock::new();

struct Component;

// Not `#[http_service]`, which would copy every header into a map, and fail on those it cannot parse.
spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match runtime().await {
            Ok(runtime) => agent::handle(&runtime, request).await,
            Err(problem) => agent::misconfigured(&Spin, &problem, request).await,
        }
    }
}

async fn runtime() -> Result<Arc<AgentRuntime<Spin>>, String> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(Arc::clone(runtime));
    }
    let started = Arc::new(agent::start(Spin).await?);
    Ok(Arc::clone(RUNTIME.get_or_init(|| started)))
}

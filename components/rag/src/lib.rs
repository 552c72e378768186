//! The component `rag`: knowledge retrieval out. It exports the handler and chooses the platform; the path of a request is
//! `spillway_gateway::knowledge`.
#![cfg(target_arch = "wasm32")]

use std::sync::{Arc, OnceLock};

use spillway_gateway::knowledge::{self, KnowledgeRuntime};
use spillway_platform_spin::{ErrorCode, Request, Response, Spin};
use spin_sdk::wasip3::exports::http::handler::Guest;

static RUNTIME: OnceLock<Arc<KnowledgeRuntime<Spin>>> = OnceLock::new();

struct Component;

// Not `#[http_service]`, which would copy every header into a map, and fail on those it cannot parse.
spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match runtime().await {
            Ok(runtime) => knowledge::handle(&runtime, request).await,
            Err(problem) => knowledge::misconfigured(&Spin, &problem, request).await,
        }
    }
}

async fn runtime() -> Result<Arc<KnowledgeRuntime<Spin>>, String> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(Arc::clone(runtime));
    }
    let started = Arc::new(knowledge::start(Spin).await?);
    Ok(Arc::clone(RUNTIME.get_or_init(|| started)))
}

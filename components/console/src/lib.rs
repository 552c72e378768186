//! The component `console`: health and metrics. It exports the handler and chooses the platform; what is answered,
//! `spillway_gateway::console` says.
#![cfg(target_arch = "wasm32")]

use std::sync::{Arc, OnceLock};

use spillway_gateway::console::{self, Console};
use spillway_platform_spin::{ErrorCode, Request, Response, Spin};
use spin_sdk::wasip3::exports::http::handler::Guest;

static CONSOLE: OnceLock<Arc<Console<Spin>>> = OnceLock::new();

struct Component;

// Not `#[http_service]`, which would copy every header into a map, and fail on those it cannot parse.
spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let console = console().await;
        let usable = console.as_deref().map_err(String::as_str);
        console::handle(&Spin, usable, request).await
    }
}

async fn console() -> Result<Arc<Console<Spin>>, String> {
    if let Some(console) = CONSOLE.get() {
        return Ok(Arc::clone(console));
    }
    let started = Arc::new(Console::start(Spin).await?);
    Ok(Arc::clone(CONSOLE.get_or_init(|| started)))
}

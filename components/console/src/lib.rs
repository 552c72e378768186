//! The component `console`: health and metrics.
#![cfg(target_arch = "wasm32")]

mod handler;
mod sweep;

use spillway_platform_spin::{ErrorCode, Request, Response};
use spin_sdk::wasip3::exports::http::handler::Guest;

struct Component;

// Not `#[http_service]`, which would copy every header into a map, and fail on those it cannot parse.
spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        handler::handle(request).await
    }
}

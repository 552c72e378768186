//! The component `rag`: knowledge retrieval out. Wiring only; what is decided, `spillway-knowledge` decides.
#![cfg(target_arch = "wasm32")]

mod handler;

use std::sync::OnceLock;

use spillway_forward::PeerTrust;
use spillway_gateway::{Limits, Meter, Totals, read_settings};
use spillway_knowledge::Catalogue;
use spillway_platform_spin::{ErrorCode, Request, Response};
use spin_sdk::wasip3::exports::http::handler::Guest;

/// What this instance knows.
struct Instance {
    catalogue: Catalogue,
    trust: PeerTrust,
    limits: Limits,
    meter: Meter,
}

static INSTANCE: OnceLock<Instance> = OnceLock::new();

struct Component;

// Not `#[http_service]`, which would copy every header into a map, and fail on those it cannot parse.
spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match instance().await {
            Ok(instance) => handler::handle(instance, request).await,
            Err(message) => handler::misconfigured(&message).await,
        }
    }
}

async fn instance() -> Result<&'static Instance, String> {
    if let Some(instance) = INSTANCE.get() {
        return Ok(instance);
    }
    let gateway = read_settings().await.map_err(|error| error.to_string())?;
    let catalogue = Catalogue::new(&gateway).map_err(|error| error.to_string())?;
    let rules = gateway
        .knowledge
        .iter()
        .map(|api| (api.name.as_str(), api.policies.rate_limits.as_slice()));
    let limits = Limits::new(&gateway, "knowledge", rules)?;
    let trust = PeerTrust::new(&gateway.trusted_proxies);
    let meter = Meter::new(Totals::new(&gateway.state.redis));
    Ok(INSTANCE.get_or_init(|| Instance {
        catalogue,
        trust,
        limits,
        meter,
    }))
}

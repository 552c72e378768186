//! The component `ingress`: Dify's traffic in. Wiring only; what is decided, `spillway-forward` decides.
#![cfg(target_arch = "wasm32")]

mod answering;
mod answers;
mod exchange;
mod forwarding;
mod handler;
mod joining;
mod run;
mod watch;

use std::sync::OnceLock;

use spillway_forward::{PeerTrust, Router};
use spillway_gateway::{Limits, Meter, Totals, read_settings};
use spillway_platform_spin::{ErrorCode, JoinKey, Request, Response};
use spin_sdk::wasip3::exports::http::handler::Guest;

/// What this instance knows.
#[derive(Debug)]
struct Instance {
    router: Router,
    trust: PeerTrust,
    limits: Limits,
    meter: Meter,
    /// Where the host can join connections, and a WebSocket can pass.
    join_key: Option<JoinKey>,
}

static INSTANCE: OnceLock<Instance> = OnceLock::new();

struct Component;

// Not `#[http_service]`, which would copy every header into a map, and fail on those it cannot parse.
spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match instance().await {
            Ok(instance) => handler::handle(instance, request).await,
            Err(message) => answers::misconfigured(&message).await,
        }
    }
}

async fn instance() -> Result<&'static Instance, String> {
    if let Some(instance) = INSTANCE.get() {
        return Ok(instance);
    }
    let gateway = read_settings().await.map_err(|error| error.to_string())?;
    let router = Router::new(&gateway.agents).map_err(|error| error.to_string())?;
    let rules = gateway
        .agents
        .iter()
        .map(|api| (api.name.as_str(), api.policies.rate_limits.as_slice()));
    let limits = Limits::new(&gateway, "agent", rules)?;
    let trust = PeerTrust::new(&gateway.trusted_proxies);
    let meter = Meter::new(Totals::new(&gateway.state.redis));
    Ok(INSTANCE.get_or_init(|| Instance {
        router,
        trust,
        limits,
        meter,
        join_key: JoinKey::given(),
    }))
}

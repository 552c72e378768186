//! WebSockets of Dify's collaboration mode, which the host joins where it can.

use http::StatusCode;
use spillway_config::DifyService;
use spillway_forward::{Destination, Service, asks_for_websocket};
use spillway_platform::{Headers, IncomingBody, Join, Platform};
use spillway_telemetry::Reason;

use super::exchange::AgentExchange;

/// Whether the request wants a WebSocket where the host cannot join connections.
pub(super) fn is_in_vain<P: Platform>(
    exchange: &AgentExchange<P>,
    destination: &Destination,
) -> bool {
    exchange.runtime.apis.join_key.is_none()
        && is_collaboration(destination)
        && asks_for_websocket(&exchange.head)
}

/// What to ask the host for along with the request. A host that can join connections shows `Upgrade` of a request
/// that is in order alone.
pub(super) fn join<'e, P: Platform>(
    exchange: &'e AgentExchange<P>,
    destination: &Destination,
) -> Option<Join<'e>> {
    let key = exchange.runtime.apis.join_key.as_ref()?;
    let asks = is_collaboration(destination) && exchange.head.headers.contains("upgrade");
    asks.then(|| Join {
        key,
        max_duration: destination.rules.timeouts.websocket.duration(),
    })
}

fn is_collaboration(destination: &Destination) -> bool {
    destination.service == Service::Dify(DifyService::SocketIo)
}

/// Answers with 101, upon which the host joins the connections. A permit is kept as long as they are; without one the
/// instance has nothing more to do with them.
pub(super) async fn answer<P: Platform>(
    mut exchange: AgentExchange<P>,
    body: P::Unread,
    headers: Headers,
) -> Result<P::Response, P::Error> {
    let status = StatusCode::SWITCHING_PROTOCOLS;
    let platform = exchange.runtime.platform.clone();
    exchange.settlement.set(status, Reason::Ok);
    if !exchange.settlement.permits.is_empty() {
        let body = platform
            .read(body)
            .map_err(|error| platform.fail(&error.to_string()))?;
        platform.spawn(async move {
            if !has_ended_in_order(body).await {
                exchange.settlement.set(status, Reason::StreamBroken);
            }
        });
    }
    platform.respond(status, headers, bytes::Bytes::new()).await
}

/// Waits until the connections are no longer joined, which is when the answer's body ends. Says whether that came in
/// order: one that fell silent or broke did not.
async fn has_ended_in_order(mut body: impl IncomingBody) -> bool {
    loop {
        match body.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

//! WebSockets of Dify's collaboration mode, which the host joins where it can.

use http::StatusCode;
use spillway_config::DifyService;
use spillway_forward::{Destination, Service, asks_for_websocket};
use spillway_gateway::Lease;
use spillway_platform::Headers;
use spillway_platform_spin::{self as spin, Answered, ErrorCode, Join, Response};
use spillway_telemetry::Reason;

use crate::exchange::Exchange;

/// Whether the request wants a WebSocket where the host cannot join connections.
pub(crate) fn is_in_vain(exchange: &Exchange, destination: &Destination<'_>) -> bool {
    exchange.instance.join_key.is_none()
        && is_collaboration(destination)
        && asks_for_websocket(&exchange.head)
}

/// What to ask the host for along with the request. A host that can join connections shows `Upgrade` of a request
/// that is in order alone.
pub(crate) fn join(exchange: &Exchange, destination: &Destination<'_>) -> Option<Join<'static>> {
    let key = exchange.instance.join_key.as_ref()?;
    let asks = is_collaboration(destination) && exchange.head.headers.contains("upgrade");
    asks.then(|| Join {
        key,
        longest: destination.rules.timeouts.websocket.duration(),
    })
}

fn is_collaboration(destination: &Destination<'_>) -> bool {
    destination.service == Service::Dify(DifyService::SocketIo)
}

/// Answers with 101, upon which the host joins the connections. A lease is held as long as they are; without one the
/// instance has nothing more to do with them.
pub(crate) async fn answer(
    exchange: Exchange,
    destination: Destination<'static>,
    answered: Answered,
    headers: Headers,
    lease: Option<Lease>,
) -> Result<Response, ErrorCode> {
    let status = StatusCode::SWITCHING_PROTOCOLS;
    let (api, route) = (destination.api, destination.route);
    match lease {
        None => exchange.count(api, route, status, Reason::Ok),
        Some(lease) => {
            let body = answered
                .read()
                .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
            spin::spawn(async move {
                let in_order = spin::end_of_join(body).await;
                drop(lease);
                let reason = if in_order {
                    Reason::Ok
                } else {
                    Reason::StreamBroken
                };
                exchange.count(api, route, status, reason);
            });
        }
    }
    spin::respond(status, headers, bytes::Bytes::new()).await
}

//! Sending a request on, and sending it again where that is safe.

use std::time::Duration;

use http::Method;
use spillway_config::DifyService;
use spillway_forward::{
    Class, Destination, REQUEST_ID, Service, drop_internal_headers, drop_unforwardable_headers,
};
use spillway_platform::{
    ForwardError, ForwardRequest, ForwardedResponse, Headers, Platform, SendError,
};

use super::exchange::AgentExchange;
use super::joining;
use super::read::Outgoing;

/// Before a refused connection is tried again: a moment for a service that is just being replaced.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends the request on. Where no connection came about it is tried once more, and where the connection broke before
/// the answer, too, if doing it twice is as good as once (RFC 9110 §9.2.2): a server that closes idle connections
/// does so now and then just as the next request goes out.
pub(super) async fn send<P: Platform>(
    exchange: &AgentExchange<P>,
    destination: &Destination,
    body: &mut Outgoing<P::Request>,
) -> Result<ForwardedResponse<P::Unread>, ForwardError> {
    let platform = &exchange.runtime.platform;
    let headers = headers(exchange, destination);
    let forwarded = || ForwardRequest {
        method: &exchange.head.method,
        scheme: &destination.upstream.scheme,
        authority: &destination.upstream.authority,
        path_and_query: &destination.path_and_query,
        headers: &headers,
        timeouts: destination.timeouts(),
        join: joining::join(exchange, destination),
    };
    let Some(first) = body.next() else {
        return Err(SendError::Other("the request was sent before".to_owned()).into());
    };
    let error = match platform.forward(first, forwarded()).await {
        Err(ForwardError::Send(error)) => error,
        other => return other,
    };
    let pause = match &error {
        SendError::Connect(_) | SendError::ConnectTimeout => Some(PAUSE),
        SendError::Reset(_) if is_idempotent(&exchange.head.method) => None,
        _ => return Err(error.into()),
    };
    let Some(again) = body.next() else {
        return Err(error.into());
    };
    if let Some(pause) = pause {
        platform.sleep(pause).await;
    }
    platform.forward(again, forwarded()).await
}

fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    )
}

fn headers<P: Platform>(exchange: &AgentExchange<P>, destination: &Destination) -> Headers {
    let mut headers = exchange.head.headers.clone();
    drop_unforwardable_headers(&mut headers);
    drop_internal_headers(&mut headers);
    exchange.claims.apply(&mut headers);
    headers.set(REQUEST_ID, exchange.id());
    let limits = &exchange.runtime.limits;
    if destination.class == Class::Run && limits.counts_tokens(&destination.api) {
        // What is packed tells of no tokens.
        headers.set("accept-encoding", "identity");
    }
    if destination.service == Service::Dify(DifyService::PluginDaemon) {
        // As Dify's nginx writes it; plugins learn their own address by it.
        let hook_url = format!(
            "{}://{}{}",
            exchange.claims.proto,
            exchange.claims.host_name(),
            exchange.head.path_and_query
        );
        headers.set("dify-hook-url", hook_url);
    }
    headers
}

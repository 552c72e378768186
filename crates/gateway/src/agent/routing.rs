//! Phase *route*: the service that a request is for, and what its head alone decides.

use std::sync::Arc;

use http::{Method, StatusCode};
use spillway_forward::{Destination, RoutingFailure, ambiguity};
use spillway_platform::Platform;
use spillway_surface::LocalReply;
use spillway_telemetry::{Label, Reason};

use super::exchange::AgentExchange;
use super::{joining, replies};

/// The service, by host and path; not for a request that nobody should get.
pub(super) fn route<P: Platform>(
    exchange: &mut AgentExchange<P>,
) -> Result<Destination, LocalReply> {
    let head = &exchange.head;
    if head.headers.is_too_large() {
        return Err(LocalReply::headers_too_large());
    }
    if let Some(words) = ambiguity(&head.headers) {
        return Err(LocalReply::invalid(words));
    }
    if matches!(head.method, Method::TRACE | Method::CONNECT) {
        // TRACE would echo cookies, and what the gateway itself adds, to whoever asks. CONNECT would leave without its
        // path, as a request for a tunnel.
        return Err(replies::method_not_allowed(&head.method));
    }
    let router = &exchange.runtime.apis.router;
    let record = &mut exchange.settlement.record;
    match router.route(head, &exchange.claims.host) {
        Ok(destination) => {
            record.name = Arc::clone(&destination.api).into();
            record.route = Label::from(&destination.route);
            Ok(destination)
        }
        Err(failure) => {
            if let RoutingFailure::NoService { api, .. } = &failure {
                record.name = Arc::clone(api).into();
            }
            Err(replies::not_routed(&failure, router.is_empty()))
        }
    }
}

/// What the head alone decides: redirects, preflights, WebSockets that cannot pass, sizes.
pub(super) fn check_head<P: Platform>(
    exchange: &AgentExchange<P>,
    destination: &Destination,
) -> Result<(), LocalReply> {
    let head = &exchange.head;
    let rules = &destination.rules;
    if rules.redirect_to_https && exchange.claims.proto == "http" {
        return Err(replies::to_https(head, exchange.claims.host_name()));
    }
    if let Some(headers) = rules.cors.as_ref().and_then(|cors| cors.preflight(head)) {
        let mut reply = LocalReply::empty(StatusCode::NO_CONTENT, Reason::Ok);
        reply.headers = headers;
        return Err(reply);
    }
    if joining::is_in_vain(exchange, destination) {
        return Err(replies::websocket_cannot_pass());
    }
    let limit = rules.max_body_bytes;
    if head.content_length().is_some_and(|length| length > limit) {
        return Err(replies::body_too_large(destination, limit));
    }
    Ok(())
}

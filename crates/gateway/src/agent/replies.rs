//! What only ingress replies.

use http::{Method, StatusCode};
use spillway_forward::{Destination, RoutingFailure};
use spillway_platform::{ForwardError, RequestHead};
use spillway_surface::{LocalReply, Peer};
use spillway_telemetry::Reason;

pub(super) fn method_not_allowed(method: &Method) -> LocalReply {
    LocalReply::error(
        StatusCode::METHOD_NOT_ALLOWED,
        Reason::MethodNotAllowed,
        format!("{method} is not answered here."),
    )
}

pub(super) fn length_required() -> LocalReply {
    LocalReply::error(
        StatusCode::LENGTH_REQUIRED,
        Reason::InvalidRequest,
        "A GET with a body above 64 KiB needs `Content-Length`.",
    )
}

/// `limit` is in bytes.
pub(super) fn body_too_large(destination: &Destination, limit: u64) -> LocalReply {
    if limit >= destination.rules.max_body_bytes {
        return LocalReply::body_too_large(limit);
    }
    LocalReply::error(
        StatusCode::PAYLOAD_TOO_LARGE,
        Reason::TooLarge,
        format!(
            "The request body is larger than the {limit} bytes in which this gateway looks for the end user that it limits by."
        ),
    )
}

/// The service's answer has more header fields than the runtime hands on.
pub(super) fn answer_head_too_large() -> LocalReply {
    LocalReply::error(
        StatusCode::BAD_GATEWAY,
        Reason::UpstreamError,
        "The service answered with more header fields than can be passed on.",
    )
}

pub(super) fn not_routed(failure: &RoutingFailure, no_apis: bool) -> LocalReply {
    let text = match failure {
        RoutingFailure::DotSegment => {
            return LocalReply::invalid("The path holds `.` or `..` segments. Send it resolved.");
        }
        RoutingFailure::NoApi if no_apis => {
            "No agent API is configured: `agents` in gateway.yaml is empty. Model APIs are below /llm, knowledge APIs below /knowledge.".to_owned()
        }
        RoutingFailure::NoApi => "Nothing is published under this host and path.".to_owned(),
        RoutingFailure::NoService { service, .. } => format!(
            "This path belongs to Dify's service `{}`, which is not configured here.",
            service.as_str()
        ),
    };
    LocalReply::error(StatusCode::NOT_FOUND, Reason::NotFound, text)
}

/// To the same place by `https`. A method other than GET must stay what it is, which 301 does not promise.
pub(super) fn to_https(head: &RequestHead, host: &str) -> LocalReply {
    if host.is_empty() {
        return LocalReply::invalid("The request names no host. Send `Host`.");
    }
    let status = if matches!(head.method, Method::GET | Method::HEAD) {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::PERMANENT_REDIRECT
    };
    let location = format!("https://{host}{}", head.path_and_query);
    LocalReply::empty(status, Reason::Redirected).with_header("location", location)
}

/// Polling goes the same way, and passes.
pub(super) fn websocket_cannot_pass() -> LocalReply {
    LocalReply::error(
        StatusCode::NOT_IMPLEMENTED,
        Reason::NotImplemented,
        "A WebSocket cannot pass here, as Spin hands no connection on. Give /socket.io/ a location of its own in the \
         proxy before the gateway, to api_websocket:5001 (docs/replacing-nginx.md), or run `spillway up` in the place \
         of Spin.",
    )
}

/// The service gave no answer.
pub(super) fn not_forwarded(error: &ForwardError, destination: &Destination) -> LocalReply {
    LocalReply::of_forward(error, Peer::Service(destination.service.as_str()))
}

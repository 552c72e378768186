//! Answers that are not the upstream's.

use http::{Method, StatusCode};
use spillway_forward::{Answer, Destination, RoutingFailure, Surface};
use spillway_platform::{ForwardError, MAX_SECTION_BYTES, SendError};
use spillway_telemetry::Reason;

/// Nothing can be served.
pub(super) fn misconfigured() -> Answer {
    Answer::error(
        Surface::Dify,
        StatusCode::SERVICE_UNAVAILABLE,
        Reason::Misconfigured,
        "The gateway's configuration cannot be used. Its log says why.",
    )
}

/// The request itself is wrong, in these words.
pub(super) fn invalid(surface: Surface, words: &str) -> Answer {
    Answer::error(
        surface,
        StatusCode::BAD_REQUEST,
        Reason::InvalidRequest,
        words,
    )
}

pub(super) fn method_not_allowed(surface: Surface, method: &Method) -> Answer {
    Answer::error(
        surface,
        StatusCode::METHOD_NOT_ALLOWED,
        Reason::MethodNotAllowed,
        &format!("{method} is not answered here."),
    )
}

pub(super) fn length_required(destination: &Destination) -> Answer {
    Answer::error(
        destination.surface,
        StatusCode::LENGTH_REQUIRED,
        Reason::InvalidRequest,
        "A GET with a body above 64 KiB needs `Content-Length`.",
    )
}

/// `limit` is in bytes.
pub(super) fn body_too_large(destination: &Destination, limit: u64) -> Answer {
    let text = if limit < destination.rules.max_body_bytes {
        format!(
            "The request body is larger than the {limit} bytes in which this gateway looks for the end user that it limits by."
        )
    } else {
        format!(
            "The request body is larger than the {limit} bytes that this gateway takes (`max_body_size`)."
        )
    };
    Answer::error(
        destination.surface,
        StatusCode::PAYLOAD_TOO_LARGE,
        Reason::TooLarge,
        &text,
    )
}

/// The service's answer has more header fields than the runtime hands on.
pub(super) fn answer_head_too_large(destination: &Destination) -> Answer {
    Answer::error(
        destination.surface,
        StatusCode::BAD_GATEWAY,
        Reason::UpstreamError,
        "The service answered with more header fields than can be passed on.",
    )
}

pub(super) fn client_broke_off(destination: &Destination) -> Answer {
    Answer::error(
        destination.surface,
        StatusCode::BAD_REQUEST,
        Reason::ClientLeft,
        "The request body broke off.",
    )
}

pub(super) fn client_too_slow(destination: &Destination) -> Answer {
    Answer::error(
        destination.surface,
        StatusCode::REQUEST_TIMEOUT,
        Reason::ClientTooSlow,
        "The request body did not come in time. Send it again.",
    )
}

pub(super) fn overloaded(destination: &Destination) -> Answer {
    Answer::error(
        destination.surface,
        StatusCode::SERVICE_UNAVAILABLE,
        Reason::Overloaded,
        "The gateway has too many large requests at once. Try again in a moment.",
    )
}

pub(super) fn headers_too_large(surface: Surface) -> Answer {
    let text = format!(
        "The request's header section is larger than {} KiB.",
        MAX_SECTION_BYTES / 1024
    );
    Answer::error(
        surface,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Reason::TooLarge,
        &text,
    )
}

pub(super) fn not_routed(failure: &RoutingFailure, surface: Surface, no_apis: bool) -> Answer {
    let (status, reason, text) = match failure {
        RoutingFailure::NoApi if no_apis => (
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            "No agent API is configured: `agents` in gateway.yaml is empty. Model APIs are below /llm, knowledge APIs below /knowledge.".to_owned(),
        ),
        RoutingFailure::NoApi => (
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            "Nothing is published under this host and path.".to_owned(),
        ),
        RoutingFailure::DotSegment => (
            StatusCode::BAD_REQUEST,
            Reason::InvalidRequest,
            "The path holds `.` or `..` segments. Send it resolved.".to_owned(),
        ),
        RoutingFailure::NoService { service, .. } => (
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            format!(
                "This path belongs to Dify's service `{}`, which is not configured here.",
                service.as_str()
            ),
        ),
    };
    Answer::error(surface, status, reason, &text)
}

/// Polling goes the same way, and passes.
pub(super) fn websocket_cannot_pass(destination: &Destination) -> Answer {
    Answer::error(
        destination.surface,
        StatusCode::NOT_IMPLEMENTED,
        Reason::NotImplemented,
        "A WebSocket cannot pass here, as Spin hands no connection on. Give /socket.io/ a location of its own in the \
         proxy before the gateway, to api_websocket:5001 (docs/replacing-nginx.md), or run `spillway up` in the place \
         of Spin.",
    )
}

/// The service gave no answer.
pub(super) fn not_forwarded(error: &ForwardError, destination: &Destination) -> Answer {
    let error = match error {
        ForwardError::Send(error) => error,
        ForwardError::BodyTooLarge { limit } => return body_too_large(destination, *limit),
        ForwardError::ClientBrokeOff => return client_broke_off(destination),
    };
    let service = destination.service.as_str();
    let (status, reason, text) = match error {
        SendError::HostNotAllowed => (
            StatusCode::BAD_GATEWAY,
            Reason::HostNotAllowed,
            format!(
                "The gateway is not allowed to reach the service `{service}`. Its log says which host spin.toml lacks."
            ),
        ),
        SendError::Connect(_) | SendError::ConnectTimeout => (
            StatusCode::BAD_GATEWAY,
            Reason::UpstreamRefused,
            format!(
                "The service `{service}` cannot be reached. It may be restarting: try again in a moment."
            ),
        ),
        SendError::ConnectionLimit => (
            StatusCode::SERVICE_UNAVAILABLE,
            Reason::Overloaded,
            "The gateway has as many connections open as it may. Try again in a moment.".to_owned(),
        ),
        SendError::FirstByteTimeout | SendError::BetweenBytesTimeout => (
            StatusCode::GATEWAY_TIMEOUT,
            Reason::UpstreamTimeout,
            format!("The service `{service}` did not answer in time."),
        ),
        SendError::Reset(_) | SendError::Other(_) => (
            StatusCode::BAD_GATEWAY,
            Reason::UpstreamError,
            format!("The service `{service}` broke off before it answered. Try again."),
        ),
    };
    Answer::error(destination.surface, status, reason, &text)
}

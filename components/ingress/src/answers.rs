//! Answers that are not the upstream's.

use http::StatusCode;
use spillway_config::DifyService;
use spillway_forward::{Answer, RoutingFailure, Surface};
use spillway_platform::spin::{self, ErrorCode, Response};
use spillway_platform::{Headers, MAX_SECTION_BYTES, SendError};
use spillway_telemetry::Reason;

/// Sends an answer of the gateway's own.
pub(crate) async fn send(answer: Answer) -> Result<Response, ErrorCode> {
    send_with(answer, &[]).await
}

/// Sends an answer of the gateway's own with further header fields.
pub(crate) async fn send_with(
    answer: Answer,
    further: &[(&'static str, String)],
) -> Result<Response, ErrorCode> {
    let mut headers = Headers::default();
    headers.append("content-type", answer.content_type);
    headers.append("x-gateway-reason", answer.reason.as_str());
    for (name, value) in further {
        headers.append(name, value.as_str());
    }
    spin::respond(answer.status, headers, answer.body).await
}

/// Nothing can be served: the operator must act, so the operator is told.
pub(crate) async fn misconfigured(message: &str) -> Result<Response, ErrorCode> {
    spin::log(message);
    let text = "The gateway's configuration cannot be used. Its log says why.";
    send(Answer::error(
        Surface::Dify,
        StatusCode::SERVICE_UNAVAILABLE,
        Reason::Misconfigured,
        text,
    ))
    .await
}

pub(crate) fn headers_too_large() -> Answer {
    let text = format!(
        "The request's header section is larger than {} KiB.",
        MAX_SECTION_BYTES / 1024
    );
    Answer::error(
        Surface::Dify,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Reason::TooLarge,
        &text,
    )
}

pub(crate) fn not_routed(failure: RoutingFailure<'_>, surface: Surface, no_apis: bool) -> Answer {
    let (status, reason, text) = match failure {
        RoutingFailure::NoApi if no_apis => {
            (StatusCode::NOT_FOUND, Reason::NotFound, "No agent API is configured: `agents` in gateway.yaml is empty.".to_owned())
        }
        RoutingFailure::NoApi => {
            (StatusCode::NOT_FOUND, Reason::NotFound, "Nothing is published under this host and path.".to_owned())
        }
        RoutingFailure::DotSegment => (
            StatusCode::BAD_REQUEST,
            Reason::InvalidRequest,
            "The path holds `.` or `..` segments. Send it resolved.".to_owned(),
        ),
        RoutingFailure::NoService { service, .. } => (
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            format!("This path belongs to Dify's service `{}`, which is not configured here.", name_of(service)),
        ),
        RoutingFailure::WebSocket { .. } => (
            StatusCode::NOT_IMPLEMENTED,
            Reason::NotFound,
            "Dify's collaboration WebSocket cannot pass through this gateway. Route /socket.io/ past it.".to_owned(),
        ),
    };
    Answer::error(surface, status, reason, &text)
}

pub(crate) fn not_sent(
    error: &SendError,
    surface: Surface,
    service: DifyService,
    origin: &str,
) -> Answer {
    let service = name_of(service);
    let (status, reason, text) = match error {
        SendError::HostNotAllowed => (
            StatusCode::BAD_GATEWAY,
            Reason::HostNotAllowed,
            format!(
                "The gateway may not reach {origin}. Add \"{origin}\" to `allowed_outbound_hosts` of the component `ingress` in spin.toml and restart."
            ),
        ),
        SendError::Connect(_) | SendError::ConnectTimeout => (
            StatusCode::BAD_GATEWAY,
            Reason::UpstreamRefused,
            format!(
                "Dify's service `{service}` cannot be reached. It may be restarting: try again in a moment."
            ),
        ),
        SendError::FirstByteTimeout | SendError::BetweenBytesTimeout => (
            StatusCode::GATEWAY_TIMEOUT,
            Reason::UpstreamTimeout,
            format!("Dify's service `{service}` did not answer in time."),
        ),
        SendError::Reset(_) | SendError::Other(_) => (
            StatusCode::BAD_GATEWAY,
            Reason::UpstreamError,
            format!("Dify's service `{service}` broke off before it answered. Try again."),
        ),
    };
    Answer::error(surface, status, reason, &text)
}

fn name_of(service: DifyService) -> &'static str {
    match service {
        DifyService::Api => "api",
        DifyService::Web => "web",
        DifyService::PluginDaemon => "plugin_daemon",
    }
}

//! Why a request was answered as it was.

use std::fmt;

/// Why a request was answered as it was. It labels the metric, the log line and the `x-gateway-reason` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Served by the first choice.
    Ok,
    /// Served by a later target after others failed.
    Fallback,
    /// No API, route, model or service for this request.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// What is asked for cannot pass on this host at all: a WebSocket, on Spin.
    NotImplemented,
    /// No credential, or one that nobody has or may use here.
    Unauthorized,
    /// A limit is reached.
    RateLimited,
    /// One client brings values to be counted by faster than it may.
    TooManyNewValues,
    /// A policy that denies without its state could not reach it.
    StateUnavailable,
    /// Sent to the same place by `https`.
    Redirected,
    /// The request itself is wrong.
    InvalidRequest,
    /// The call's input is larger than its target takes.
    ContextLengthExceeded,
    /// Body or header section above the limit.
    TooLarge,
    /// No connection to the upstream.
    UpstreamRefused,
    /// The upstream was too slow.
    UpstreamTimeout,
    /// The upstream broke off, or answered what cannot be used.
    UpstreamError,
    /// The upstream answered with a status that tells of an error; it was passed on.
    UpstreamStatus,
    /// The stream broke off after content had gone out.
    StreamBroken,
    /// The client left before its answer was complete.
    ClientLeft,
    /// The client did not send its request's body in time.
    ClientTooSlow,
    /// The gateway had no room for the request's body.
    Overloaded,
    /// `allowed_outbound_hosts` in `spin.toml` lacks the upstream.
    HostNotAllowed,
    /// The gateway's configuration cannot be used.
    Misconfigured,
    /// A fault of the gateway itself.
    Internal,
}

impl Reason {
    /// The name in metrics, logs and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fallback => "fallback",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotImplemented => "not_implemented",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rate_limited",
            Self::TooManyNewValues => "too_many_new_values",
            Self::StateUnavailable => "state_unavailable",
            Self::Redirected => "redirected",
            Self::InvalidRequest => "invalid_request",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::TooLarge => "too_large",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamStatus => "upstream_status",
            Self::StreamBroken => "stream_broken",
            Self::ClientLeft => "client_left",
            Self::ClientTooSlow => "client_too_slow",
            Self::Overloaded => "overloaded",
            Self::HostNotAllowed => "host_not_allowed",
            Self::Misconfigured => "misconfigured",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

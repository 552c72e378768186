//! What comes in, where it goes, and how sending can fail.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Headers;

/// The head of a request as the runtime hands it over.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// The method.
    pub method: http::Method,
    /// `http` or `https`, by the listener that took the request.
    pub scheme: String,
    /// Host and port the client asked for; empty where it named none.
    pub authority: String,
    /// Path and query exactly as sent, never empty.
    pub path_and_query: String,
    /// Header fields, Spin's own (`spin-*`) among them.
    pub headers: Headers,
    /// The peer that the connection came from, where the runtime tells.
    pub peer: Option<SocketAddr>,
}

impl RequestHead {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.path_and_query
            .split_once('?')
            .map_or(self.path_and_query.as_str(), |(path, _)| path)
    }

    /// The query without the question mark, where there is one.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.split_once('?').map(|(_, query)| query)
    }

    /// The length of the body, where it is told.
    pub fn content_length(&self) -> Option<u64> {
        self.headers.text("content-length")?.trim().parse().ok()
    }

    /// Whether a body follows, by RFC 9112 §6.3: either length header announces one. `content-length: 0` is none.
    pub fn has_body(&self) -> bool {
        self.headers.contains("transfer-encoding")
            || self
                .headers
                .first("content-length")
                .is_some_and(|length| length != b"0")
    }
}

/// Why a forwarded request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// The upstream's side.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The client's body went past the limit.
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The client's body broke off.
    #[error("the request body broke off")]
    ClientBrokeOff,
}

/// How long one sent request may take in each of its phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// From the start to the answer's head.
    pub first_byte: Duration,
    /// Between two pieces of the answer's body.
    pub between_bytes: Duration,
}

/// Where an upstream is, out of its base URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// `http` or `https`.
    pub scheme: String,
    /// Host, with the port where it is not the scheme's own.
    pub authority: String,
    /// Path below which the upstream serves, without a closing slash; empty for the root.
    pub base_path: String,
}

impl Upstream {
    /// Out of an `http` or `https` URL; `None` for anything else. Query and fragment are left out.
    pub fn parse(url: &str) -> Option<Self> {
        let uri: http::Uri = url.trim().parse().ok()?;
        let scheme = uri.scheme_str()?;
        if !matches!(scheme, "http" | "https") {
            return None;
        }
        Some(Self {
            scheme: scheme.to_owned(),
            authority: uri.authority()?.as_str().to_owned(),
            base_path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The upstream's path and query for one that begins at the root of what it serves.
    pub fn path_of(&self, path_and_query: String) -> String {
        if self.base_path.is_empty() {
            return path_and_query;
        }
        let mut below = self.base_path.clone();
        below.push_str(&path_and_query);
        below
    }

    /// `scheme://host[:port]`, as `allowed_outbound_hosts` lists it.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// Why no answer, or no complete one, came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nobody listens there, or the name has no address.
    #[error("no connection: {0}")]
    Connect(String),
    /// No connection in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The runtime opens no more connections: nobody's fault that is called.
    #[error("the gateway has as many connections open as it may")]
    ConnectionLimit,
    /// No head in time.
    #[error("no answer in time")]
    FirstByteTimeout,
    /// The body stopped for too long.
    #[error("the answer stopped for too long")]
    BetweenBytesTimeout,
    /// The connection broke, or what came was no HTTP.
    #[error("the connection broke: {0}")]
    Reset(String),
    /// The runtime does not let this component reach the host.
    #[error(
        "the host is not allowed: add it to this component's `allowed_outbound_hosts` in spin.toml and restart"
    )]
    HostNotAllowed,
    /// Anything else; the runtime's words.
    #[error("{0}")]
    Other(String),
}

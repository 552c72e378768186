//! Requests that are passed on, and their answers.

use bytes::Bytes;
use http::StatusCode;

use crate::{Headers, Join, JoinName, Timeouts};

/// Where a request is forwarded to.
#[derive(Debug, Clone)]
pub struct ForwardRequest<'a> {
    /// The method.
    pub method: &'a http::Method,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// Path and query.
    pub path_and_query: &'a str,
    /// Header fields, fit to be sent.
    pub headers: &'a Headers,
    /// How long each phase may take.
    pub timeouts: Timeouts,
    /// Whether it asks for a WebSocket.
    pub join: Option<Join<'a>>,
}

/// What is forwarded after the head. `R` is the client's request.
#[derive(Debug)]
pub enum ForwardedBody<R> {
    /// The client's body, moved by the runtime; or none, where the client sent none.
    Spliced(R),
    /// A body in hand.
    Whole(Bytes),
    /// The client's body, copied, as long as it has no more bytes than this.
    Counted {
        /// The client's request.
        request: R,
        /// In bytes.
        limit: u64,
    },
}

/// An upstream's answer, its body (`B`) still where the runtime has it.
#[derive(Debug)]
pub struct ForwardedResponse<B> {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: Headers,
    /// The connection that the host keeps for the client. With status 101, and only then.
    pub join: Option<JoinName>,
    /// The body.
    pub body: B,
}

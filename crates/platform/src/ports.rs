//! What policy code may ask of the outside. The Spin adapter implements it in a component, a scripted one in tests.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::{Headers, SendError, Timeouts};

/// A request to an upstream, with its whole body in hand.
#[derive(Debug, Clone)]
pub struct OutboundRequest {
    /// The method.
    pub method: http::Method,
    /// `http` or `https`.
    pub scheme: String,
    /// Host and port, which the upstream sees as `Host`.
    pub authority: String,
    /// Path and query.
    pub path_and_query: String,
    /// Header fields, without `host` and `content-length`.
    pub headers: Headers,
    /// The body; empty for none.
    pub body: Bytes,
    /// How long each phase may take.
    pub timeouts: Timeouts,
}

/// An upstream's answer, its body still to come.
#[derive(Debug)]
pub struct InboundResponse<B> {
    /// The status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: Headers,
    /// The body.
    pub body: B,
}

/// A body that arrives piece by piece. Dropping it closes the upstream's connection.
pub trait IncomingBody {
    /// The next piece; `None` at a clean end. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, SendError>>;

    /// The trailers that came after the body, once it has ended.
    fn take_trailers(&mut self) -> Option<Headers> {
        None
    }

    /// Whether the host has memory for a body that is held whole. Worth a question for each [`ASKED_BYTES`] of it.
    fn may_be_buffered(&self) -> impl Future<Output = bool>;
}

/// Bodies up to this are held without a question to the host.
pub const ASKED_BYTES: usize = 1024 * 1024;

/// Whether a body that is read whole may grow from one length to another.
pub async fn may_grow<B: IncomingBody>(body: &B, from: usize, to: usize) -> bool {
    to.div_euclid(ASKED_BYTES) == from.div_euclid(ASKED_BYTES) || body.may_be_buffered().await
}

/// Sends requests.
pub trait Sender {
    /// The bodies of answers.
    type Body: IncomingBody;

    /// Sends a request and waits for the answer's head. Dropping the future closes the connection.
    fn send(
        &self,
        request: OutboundRequest,
    ) -> impl Future<Output = Result<InboundResponse<Self::Body>, SendError>>;
}

/// What time it is.
pub trait Clock {
    /// Since some fixed moment; only goes forward.
    fn now(&self) -> Duration;

    /// Since 1970, by the machine's clock, which may be set.
    fn since_1970(&self) -> Duration;

    /// Waits so long.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static;
}

/// The client is gone: nothing more can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLeft;

/// Where an answer's body goes, piece by piece.
pub trait OutgoingBody {
    /// Writes and waits until it is taken over: backpressure.
    ///
    /// # Errors
    /// [`ClientLeft`].
    fn write(&mut self, bytes: Vec<u8>) -> impl Future<Output = Result<(), ClientLeft>>;
}

/// The writing end of a streamed body. Dropped before it is finished the client's connection is broken off, so that a
/// cut stream never looks complete.
pub trait ResponseWriter: OutgoingBody {
    /// Ends the body cleanly, with trailers where there are some.
    fn finish(self, trailers: Option<Headers>) -> impl Future<Output = ()>;
}

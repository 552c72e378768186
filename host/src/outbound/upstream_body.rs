//! The body of an upstream's answer, with a limit on its silences.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

use crate::body::WireBody;

/// Ends with an error when nothing comes for too long; dropping it closes the connection.
pub struct UpstreamBody {
    /// None once it timed out, so that the connection is closed at once.
    wire: Option<WireBody>,
    between_bytes: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl UpstreamBody {
    /// Limits the time between two frames of `wire`.
    pub fn new(wire: WireBody, between_bytes: Duration) -> Self {
        Self {
            wire: Some(wire),
            between_bytes,
            waiting_since: None,
            timer: None,
        }
    }

    /// Whether the wait that began at `since` has been too long. The timer is only moved when it
    /// fires, not with each frame.
    fn poll_timeout(&mut self, since: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = since.checked_add(self.between_bytes) else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(wire) = &mut this.wire else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(polled) = Pin::new(wire).poll_frame(cx) {
            this.waiting_since = None;
            return Poll::Ready(polled);
        }
        let since = *this.waiting_since.get_or_insert_with(Instant::now);
        if this.poll_timeout(since, cx).is_pending() {
            return Poll::Pending;
        }
        this.wire = None;
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.wire.as_ref().is_none_or(WireBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.wire
            .as_ref()
            .map_or_else(SizeHint::default, WireBody::size_hint)
    }
}

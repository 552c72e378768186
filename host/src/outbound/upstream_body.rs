//! The body of an upstream's answer, with a limit on its silences.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

use super::framing::EndsAfter;
use crate::body::WireBody;

type PolledFrame = Option<Result<Frame<Bytes>, Error>>;

/// Ends with an error when nothing comes for too long; dropping it closes the connection.
pub struct UpstreamBody {
    /// None once it timed out, so that the connection is closed at once.
    wire: Option<WireBody>,
    /// How many bytes are left, where the wire would not end by itself.
    left: EndsAfter,
    between_bytes: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl UpstreamBody {
    /// Limits the time between two frames of `wire`.
    pub fn new(wire: WireBody, ends_after: EndsAfter, between_bytes: Duration) -> Self {
        Self {
            wire: (ends_after != Some(0)).then_some(wire),
            left: ends_after,
            between_bytes,
            waiting_since: None,
            timer: None,
        }
    }

    /// What came, up to the body's end.
    fn as_far_as_it_goes(&mut self, polled: PolledFrame) -> PolledFrame {
        let Some(left) = self.left else {
            return polled;
        };
        let data = match polled {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Some(Ok(trailers)),
            },
            Some(Err(error)) => return Some(Err(error)),
            None => return Some(Err(Error::HttpResponseIncomplete)),
        };
        let room = usize::try_from(left).unwrap_or(usize::MAX);
        let data = data.slice(..room.min(data.len()));
        let left = left.saturating_sub(u64::try_from(data.len()).unwrap_or(u64::MAX));
        self.left = Some(left);
        if left == 0 {
            self.wire = None;
        }
        Some(Ok(Frame::data(data)))
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
            return Poll::Ready(this.as_far_as_it_goes(polled));
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
        match (self.left, &self.wire) {
            (Some(left), _) => SizeHint::with_exact(left),
            (None, Some(wire)) => wire.size_hint(),
            (None, None) => SizeHint::default(),
        }
    }
}

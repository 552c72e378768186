//! A client's body on its way to a component: how fast it comes, and whether there is memory for it.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;

use crate::body::WireBody;
use crate::capacity::{MemoryBudget, SMALL_BODY, UploadPace};

/// Ends with an error when the client is too slow, or where there is no memory for it.
#[derive(Debug)]
pub struct RequestBody {
    wire: WireBody,
    budget: Arc<MemoryBudget>,
    /// Its length is known, and there was memory for it when it was let in.
    is_announced: bool,
    /// How many bytes have come.
    brought: u64,
    /// `None`: it may come as slowly as it likes.
    pace: Option<UploadPace>,
    fate: BodyFate,
}

/// How a body was given up, for whoever answers its request.
#[derive(Debug, Clone, Default)]
pub struct BodyFate(Arc<OnceLock<GivenUp>>);

/// Why a body was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// The client was too slow.
    TooSlow,
    /// There was no memory for it.
    OverBudget,
}

impl BodyFate {
    /// Why it was given up, if it was.
    pub fn given_up(&self) -> Option<GivenUp> {
        self.0.get().copied()
    }
}

impl RequestBody {
    /// A body that was let in.
    pub fn new(
        wire: WireBody,
        budget: Arc<MemoryBudget>,
        is_announced: bool,
        pace: Option<UploadPace>,
        fate: BodyFate,
    ) -> Self {
        Self {
            wire,
            budget,
            is_announced,
            brought: 0,
            pace,
            fate,
        }
    }

    /// Whether there is no memory for so many more bytes.
    fn goes_beyond(&mut self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.brought = self.brought.saturating_add(bytes);
        let is_over = if self.is_announced {
            MemoryBudget::is_far_exceeded
        } else {
            MemoryBudget::is_exceeded
        };
        // What has come whole need not end.
        bytes > 0 && self.brought > SMALL_BODY && is_over(&self.budget)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.wire).poll_frame(context);
        let Poll::Ready(frame) = polled else {
            let too_slow = match &mut this.pace {
                Some(pace) => pace.poll_too_slow(context),
                None => Poll::Pending,
            };
            return too_slow.map(|()| {
                let _ = this.fate.0.set(GivenUp::TooSlow);
                Some(Err(Error::ConnectionReadTimeout))
            });
        };
        let data = frame
            .as_ref()
            .and_then(|frame| frame.as_ref().ok())
            .and_then(Frame::data_ref)
            .map_or(0, Bytes::len);
        if this.goes_beyond(data) {
            let _ = this.fate.0.set(GivenUp::OverBudget);
            return Poll::Ready(Some(Err(Error::HttpRequestBodySize(None))));
        }
        if let Some(pace) = &mut this.pace {
            pace.received(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.wire.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.wire.size_hint()
    }
}

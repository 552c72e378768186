//! A client's body on its way to a component: how fast it comes, and what it may take up.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;

use crate::body::WireBody;
use crate::capacity::{Reservation, UploadPace};

/// Ends with an error when the client is too slow.
#[derive(Debug)]
pub struct RequestBody {
    wire: WireBody,
    reservation: Reservation,
    /// `None`: it may come as slowly as it likes.
    pace: Option<UploadPace>,
    fate: BodyFate,
}

/// Whether a body was given up, for whoever answers its request.
#[derive(Debug, Clone, Default)]
pub struct BodyFate(Arc<AtomicBool>);

impl BodyFate {
    /// Whether the client was too slow.
    pub fn was_too_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl RequestBody {
    /// A body that was let in.
    pub fn new(
        wire: WireBody,
        reservation: Reservation,
        pace: Option<UploadPace>,
        fate: BodyFate,
    ) -> Self {
        Self {
            fate,
            wire,
            reservation,
            pace,
        }
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
                this.fate.0.store(true, Ordering::Relaxed);
                Some(Err(Error::ConnectionReadTimeout))
            });
        };
        let data = frame
            .as_ref()
            .and_then(|frame| frame.as_ref().ok())
            .and_then(Frame::data_ref)
            .map_or(0, Bytes::len);
        this.reservation.arrived(data);
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

//! Bodies on their way through the host. Nothing is held back: each frame goes on as it comes.
//!
//! When an instance dies, the bodies that it was writing look finished: their channels close the way
//! they do at a proper end. [`GuardedBody`] tells the two apart, so that a reader sees a cut instead
//! of an end. A body that merely passes through (spliced) does not depend on the instance, and says
//! so by [`WireBody`] when it comes to its own end.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::harsh::Pieces;

thread_local! {
    /// Whether the body polled last on this thread was a `WireBody` that came to its end.
    static WIRE_ENDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a component instance died of a trap or a timeout; shared with all bodies it writes.
#[derive(Debug, Default)]
pub struct InstanceFate {
    died: AtomicBool,
}

impl InstanceFate {
    /// Has to be called before the instance's store is dropped, as that closes the bodies.
    pub fn mark_dead(&self) {
        self.died.store(true, Ordering::Release);
    }

    fn is_dead(&self) -> bool {
        self.died.load(Ordering::Acquire)
    }
}

/// A body written, or passed on, by a component instance.
#[derive(Debug)]
pub struct GuardedBody {
    inner: WasiBody,
    /// None when the instance is not known, which is the case for answers of none.
    fate: Option<Arc<InstanceFate>>,
    ended: bool,
}

impl GuardedBody {
    /// Guards what an instance of this fate writes.
    pub fn new(inner: WasiBody, fate: Option<Arc<InstanceFate>>) -> Self {
        Self {
            inner,
            fate,
            ended: false,
        }
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        WIRE_ENDED.set(false);
        let polled = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        if polled.is_none() {
            let dead = this.fate.as_ref().is_some_and(|fate| fate.is_dead());
            if dead && !WIRE_ENDED.get() && !this.ended {
                return Poll::Ready(Some(Err(Error::HttpResponseIncomplete)));
            }
            this.ended = true;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body that comes from a connection.
#[derive(Debug)]
pub struct WireBody {
    incoming: Incoming,
    /// Set under `--harsh`.
    pieces: Option<Pieces>,
}

impl WireBody {
    /// Takes the body of a message that hyper read.
    pub fn new(incoming: Incoming, harsh: bool) -> Self {
        Self {
            incoming,
            pieces: harsh.then(Pieces::default),
        }
    }

    fn left(&self) -> usize {
        self.pieces.as_ref().map_or(0, Pieces::left)
    }
}

impl Body for WireBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        WIRE_ENDED.set(false);
        if let Some(piece) = this.pieces.as_mut().and_then(Pieces::next_piece) {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let polled = ready!(Pin::new(&mut this.incoming).poll_frame(cx));
        WIRE_ENDED.set(polled.is_none());
        let pieces = &mut this.pieces;
        Poll::Ready(polled.map(|frame| {
            let frame = frame.map_err(Error::Hyper)?;
            Ok(match pieces {
                Some(pieces) => frame.map_data(|data| pieces.cut(data)),
                None => frame,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0 && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.incoming.size_hint();
        let left = u64::try_from(self.left()).unwrap_or(u64::MAX);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint.set_lower(hint.lower().saturating_add(left));
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn guest_body(texts: &'static [&'static str]) -> WasiBody {
        let frames = texts
            .iter()
            .map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(*text))));
        StreamBody::new(stream::iter(frames))
            .map_err(Error::from)
            .boxed_unsync()
    }

    /// Ends as a `WireBody` does.
    struct PassedOn(WasiBody);

    impl Body for PassedOn {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            let polled = ready!(Pin::new(&mut self.get_mut().0).poll_frame(cx));
            WIRE_ENDED.set(polled.is_none());
            Poll::Ready(polled)
        }
    }

    async fn read(mut body: GuardedBody) -> (String, bool) {
        let mut text = String::new();
        loop {
            match body.frame().await {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap();
                    text.push_str(std::str::from_utf8(&data).unwrap());
                }
                Some(Err(_)) => return (text, false),
                None => return (text, true),
            }
        }
    }

    #[tokio::test]
    async fn a_body_whose_instance_lives_ends_cleanly() {
        let fate = Arc::new(InstanceFate::default());
        let body = GuardedBody::new(guest_body(&["a", "b"]), Some(fate));
        assert_eq!(read(body).await, ("ab".to_owned(), true));
        let body = GuardedBody::new(guest_body(&["a"]), None);
        assert_eq!(read(body).await, ("a".to_owned(), true));
    }

    #[tokio::test]
    async fn a_body_whose_instance_died_is_cut_after_what_was_written() {
        let fate = Arc::new(InstanceFate::default());
        let body = GuardedBody::new(guest_body(&["a", "b"]), Some(Arc::clone(&fate)));
        fate.mark_dead();
        assert!(!body.is_end_stream());
        assert_eq!(read(body).await, ("ab".to_owned(), false));
    }

    #[tokio::test]
    async fn a_body_that_passes_through_survives_its_instance() {
        let fate = Arc::new(InstanceFate::default());
        let inner = PassedOn(guest_body(&["a", "b"])).boxed_unsync();
        let body = GuardedBody::new(inner, Some(Arc::clone(&fate)));
        fate.mark_dead();
        assert_eq!(read(body).await, ("ab".to_owned(), true));
    }

    #[tokio::test]
    async fn an_end_seen_before_the_death_stays_an_end() {
        let fate = Arc::new(InstanceFate::default());
        let mut body = GuardedBody::new(guest_body(&["a"]), Some(Arc::clone(&fate)));
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.is_none());
        fate.mark_dead();
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
    }
}

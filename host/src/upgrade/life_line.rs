//! How a component learns that connections are no longer joined: the body of the answer that it got ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::oneshot;
use wasmtime_wasi_http::Error;

/// Says how the connections came apart; dropped unused, that they never came together.
#[derive(Debug)]
pub struct LifeLineEnd(oneshot::Sender<bool>);

impl LifeLineEnd {
    /// They came apart. One that broke or fell silent did not end in order.
    pub fn end(self, in_order: bool) {
        // The component may not have wanted to know.
        let _ = self.0.send(in_order);
    }
}

/// A body without bytes that ends with the connections, in an error unless that came in order.
#[derive(Debug)]
pub struct LifeLine {
    ended: Option<oneshot::Receiver<bool>>,
}

/// A life line and its far end.
pub fn life_line() -> (LifeLineEnd, LifeLine) {
    let (end, ended) = oneshot::channel();
    (LifeLineEnd(end), LifeLine { ended: Some(ended) })
}

impl Body for LifeLine {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(ended) = &mut this.ended else {
            return Poll::Ready(None);
        };
        let in_order = ready!(Pin::new(ended).poll(context)).unwrap_or(false);
        this.ended = None;
        Poll::Ready((!in_order).then_some(Err(Error::HttpResponseIncomplete)))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_end_in_order_is_told_from_any_other() {
        let (end, mut line) = life_line();
        end.end(true);
        assert!(line.frame().await.is_none());
        let (end, mut line) = life_line();
        end.end(false);
        assert!(line.frame().await.unwrap().is_err());
        assert!(line.frame().await.is_none());
        let (end, mut line) = life_line();
        drop(end);
        assert!(line.frame().await.unwrap().is_err());
    }
}

//! Pieces of a body that are here at the same time go on together.
//!
//! **Rule.** After a piece the body is asked for the next without waiting for it, and again, up to a length. **Guarantee.**
//! Nothing is held back: what is not here yet is not waited for. **Cost.** One poll a piece, in the place of a write, of
//! the host's part in it and of the packet that it becomes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;

use crate::{IncomingBody, SendError};

/// What [`IncomingBody::next`] gave.
pub type Piece = Result<Option<Bytes>, SendError>;

/// With so many bytes, or pieces, gathering ends: what has come must not wait for all that can still come. The last piece
/// may go beyond it.
const MAX_BYTES: usize = 16 * 1024;
const MAX_PIECES: usize = 64;

/// A piece, with those after it that are here already; and the end or the failure, if that is here, too.
pub async fn gather<B: IncomingBody>(body: &mut B, first: Bytes) -> (Bytes, Option<Piece>) {
    let mut gathered = Vec::new();
    let mut end = None;
    for _ in 1..MAX_PIECES {
        if first.len().max(gathered.len()) >= MAX_BYTES {
            break;
        }
        match ready(body).await {
            None => break,
            Some(Ok(Some(piece))) => {
                if gathered.is_empty() {
                    gathered.extend_from_slice(&first);
                }
                gathered.extend_from_slice(&piece);
            }
            ended => {
                end = ended;
                break;
            }
        }
    }
    if gathered.is_empty() {
        (first, end)
    } else {
        (gathered.into(), end)
    }
}

/// The next piece, if it is here.
async fn ready<B: IncomingBody>(body: &mut B) -> Option<Piece> {
    let mut next = pin!(body.next());
    poll_fn(|context| {
        Poll::Ready(match next.as_mut().poll(context) {
            Poll::Ready(piece) => Some(piece),
            Poll::Pending => None,
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::{Context, Waker};

    use super::*;

    /// `None`: not here yet.
    struct Pieces(VecDeque<Option<Piece>>);

    impl IncomingBody for Pieces {
        async fn next(&mut self) -> Piece {
            poll_fn(|_| match self.0.pop_front() {
                Some(Some(piece)) => Poll::Ready(piece),
                Some(None) | None => Poll::Pending,
            })
            .await
        }

        async fn may_be_buffered(&self) -> bool {
            true
        }
    }

    fn gathered(rest: Vec<Option<Piece>>) -> (Bytes, Option<Piece>) {
        let mut body = Pieces(rest.into());
        let future = pin!(gather(&mut body, Bytes::from_static(b"a")));
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(gathered) => gathered,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn piece(text: &'static str) -> Option<Piece> {
        Some(Ok(Some(Bytes::from_static(text.as_bytes()))))
    }

    #[test]
    fn what_is_here_goes_together_and_nothing_is_waited_for() {
        let broken = || SendError::Reset("cut".to_owned());
        for (rest, bytes, end) in [
            (vec![None], "a", None),
            (vec![piece("b"), piece("c"), None, piece("d")], "abc", None),
            (vec![piece("b"), Some(Ok(None))], "ab", Some(Ok(None))),
            (
                vec![piece("b"), Some(Err(broken()))],
                "ab",
                Some(Err(broken())),
            ),
            (vec![Some(Err(broken()))], "a", Some(Err(broken()))),
        ] {
            assert_eq!(gathered(rest), (Bytes::from_static(bytes.as_bytes()), end));
        }
    }

    #[test]
    fn what_never_ends_goes_out_in_parts() {
        let endless = |text| {
            std::iter::repeat_with(move || piece(text))
                .take(100_000)
                .collect()
        };
        assert_eq!(gathered(endless("")).0, "a");
        let long: &'static str = "x".repeat(10_000).leak();
        assert_eq!(gathered(endless(long)).0.len(), 20_001);
    }
}

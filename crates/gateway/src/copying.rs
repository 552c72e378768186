//! An upstream's answer that goes through the instance piece by piece, as its end has to be known.

use std::time::Duration;

use futures_util::future::{Either, select};
use spillway_platform::{
    IncomingBody, OutgoingBody as _, Piece, Platform, ResponseWriter as _, gather,
};

/// How long a head waits for its first bytes: on Spin the two leave in one segment then, and the client's delayed
/// acknowledgement of the first does not hold back the second.
const TOGETHER: Duration = Duration::from_millis(20);

/// How passing an answer on ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyEnd {
    Complete,
    /// The upstream broke off, or stopped for too long.
    Broken,
    ClientLeft,
}

/// What comes of a body before its head is sent, if it comes soon.
pub(crate) async fn first_piece<P: Platform>(platform: &P, body: &mut P::Body) -> Option<Piece> {
    let next = std::pin::pin!(body.next());
    match select(next, std::pin::pin!(platform.sleep(TOGETHER))).await {
        Either::Left((first, _)) => Some(first),
        Either::Right(_) => None,
    }
}

/// Passes an answer on as it is, and shows each piece. One that breaks is cut, so that it does not look
/// complete.
pub(crate) async fn copy<P: Platform>(
    mut next: Option<Piece>,
    mut body: P::Body,
    mut writer: P::Writer,
    mut see: impl FnMut(&[u8]),
) -> CopyEnd {
    loop {
        let piece = match next.take() {
            Some(piece) => piece,
            None => body.next().await,
        };
        match piece {
            Ok(Some(piece)) => {
                let (piece, ahead) = gather(&mut body, piece).await;
                next = ahead;
                let written = writer.write(piece.to_vec()).await;
                // Also where nobody takes it: it may tell what was used.
                see(&piece);
                if written.is_err() {
                    return CopyEnd::ClientLeft;
                }
            }
            Ok(None) => {
                writer.finish(body.take_trailers()).await;
                return CopyEnd::Complete;
            }
            Err(_) => return CopyEnd::Broken,
        }
    }
}

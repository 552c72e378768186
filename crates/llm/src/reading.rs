//! A provider's answer, read whole.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use spillway_platform::{
    BytesInHand, Clock, Headers, InboundResponse, IncomingBody, NoRoom, SendError, Sender,
    Upstream, may_grow,
};
use spillway_upstream::{Failure, PoolWatch};

use crate::Call;
use crate::attempt_failure::{AttemptFailure, FailureReply, in_words, of_send};
use crate::error_form::MAX_ERROR_BYTES;
use crate::retry_after::retry_after;
use crate::target::PlacedAttempt;
use crate::unpacking::Unpacking;

/// The longest answer that is read whole: 64 MiB, above any batch of embeddings.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

impl<S: Sender, C: Clock, W: PoolWatch> Call<'_, S, C, W> {
    /// Reads the body of a success; turns any other status into a failure with its body.
    pub(crate) async fn read_success(
        &self,
        attempt: &PlacedAttempt<'_>,
        mut response: InboundResponse<Unpacking<S::Body>>,
    ) -> Result<(Headers, Bytes), AttemptFailure> {
        let (upstream, dialect) = (attempt.upstream(), attempt.target.dialect());
        if response.status.is_success() {
            let length = response
                .headers
                .text("content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or_default();
            let read = read_whole(&mut response.body, Bytes::new(), length, &self.in_hand).await;
            let body = read.map_err(|error| error.into_failure(upstream))?;
            return Ok((response.headers, body));
        }
        let status = response.status.as_u16();
        if !(400..=599).contains(&status) {
            // Nothing that a client of this API could make sense of: a redirect, an upgrade, no status at all.
            return Err(AttemptFailure::bare(Failure::Reset));
        }
        let body = read_error(&mut response.body).await;
        Err(AttemptFailure {
            retry_after: retry_after(&response.headers, self.clock.since_1970()),
            ..AttemptFailure::new(
                dialect.classify(status, &body),
                FailureReply::Answer {
                    status: response.status,
                    headers: response.headers,
                    body,
                },
            )
        })
    }

    /// Reads on where the beginning is in hand.
    pub(crate) async fn read_rest(
        &self,
        upstream: &Upstream,
        beginning: Bytes,
        mut response: InboundResponse<Unpacking<S::Body>>,
    ) -> Result<Bytes, AttemptFailure> {
        read_whole(&mut response.body, beginning, 0, &self.in_hand)
            .await
            .map_err(|error| error.into_failure(upstream))
    }
}

/// An error's text, as far as it is told: an error is one even if its text broke off.
async fn read_error<B: IncomingBody>(body: &mut B) -> Bytes {
    let mut text = BytesMut::new();
    while text.len() <= MAX_ERROR_BYTES {
        match body.next().await {
            Ok(Some(piece)) => text.extend_from_slice(&piece),
            // In a packing that is not known.
            Err(SendError::Other(words)) if text.is_empty() => return words.into(),
            _ => break,
        }
    }
    text.freeze()
}

/// An answer that could not be read whole.
enum ReadError {
    Send(SendError),
    NoRoom,
    TooLarge,
}

impl ReadError {
    fn into_failure(self, upstream: &Upstream) -> AttemptFailure {
        match self {
            Self::Send(error) => of_send(error, upstream),
            Self::NoRoom => AttemptFailure::new(Failure::NoRoom, FailureReply::NoRoom),
            Self::TooLarge => in_words(
                Failure::TooLarge,
                "The model's answer is larger than 64 MiB, the most that the gateway reads.",
            ),
        }
    }
}

/// Reads to the end what begins so; `length` is what the provider says it is, 0 where it does not.
async fn read_whole<B: IncomingBody>(
    body: &mut B,
    beginning: Bytes,
    length: usize,
    in_hand: &Arc<BytesInHand>,
) -> Result<Bytes, ReadError> {
    if length > MAX_ANSWER_BYTES {
        return Err(ReadError::TooLarge);
    }
    let mut room = in_hand.room(length).map_err(|NoRoom| ReadError::NoRoom)?;
    if !may_grow(body, 0, length).await {
        return Err(ReadError::NoRoom);
    }
    let mut whole = BytesMut::from(beginning);
    whole.reserve(length);
    while let Some(piece) = body.next().await.map_err(ReadError::Send)? {
        let size = whole.len().saturating_add(piece.len());
        if size > MAX_ANSWER_BYTES {
            return Err(ReadError::TooLarge);
        }
        room.reach(size).map_err(|NoRoom| ReadError::NoRoom)?;
        if size > length && !may_grow(body, whole.len(), size).await {
            return Err(ReadError::NoRoom);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(room.filled(whole))
}

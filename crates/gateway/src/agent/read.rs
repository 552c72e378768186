//! Phase *read*: how a request's body goes on.

use bytes::Bytes;
use http::Method;
use spillway_forward::{Destination, UserPlace, may_be_json};
use spillway_platform::{ForwardedBody, Platform, ReceiveError};
use spillway_surface::LocalReply;

use super::exchange::AgentExchange;
use super::replies;

/// The largest JSON body that is read to find the end user in it.
const MAX_READ_BYTES: u64 = 8 * 1024 * 1024;

/// Bodies of up to 64 KiB are kept in hand until the answer's head has come, so that they can be sent again.
const REPEATABLE_BYTES: u64 = 64 * 1024;

/// A request's body on its way out.
#[derive(Debug)]
pub(super) struct Outgoing<R> {
    first: Option<ForwardedBody<R>>,
    /// What a second try sends; `None` where there can be none.
    again: Option<Bytes>,
    /// Dify's `user`, where the body was read for it.
    pub end_user: Option<String>,
}

impl<R> Outgoing<R> {
    pub fn without_body(request: R) -> Self {
        Self {
            first: Some(ForwardedBody::Spliced(request)),
            again: Some(Bytes::new()),
            end_user: None,
        }
    }

    pub fn in_hand(bytes: Bytes, end_user: Option<String>) -> Self {
        Self {
            first: Some(ForwardedBody::Whole(bytes.clone())),
            again: Some(bytes),
            end_user,
        }
    }

    pub fn once(body: ForwardedBody<R>) -> Self {
        Self {
            first: Some(body),
            again: None,
            end_user: None,
        }
    }

    pub fn next(&mut self) -> Option<ForwardedBody<R>> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.again.take().map(ForwardedBody::Whole),
        }
    }
}

/// Whether the body has to be read for the end user.
pub(super) fn reads_end_user<P: Platform>(
    exchange: &AgentExchange<P>,
    destination: &Destination,
) -> bool {
    exchange.head.has_body()
        && destination.user_place == Some(UserPlace::Body)
        && may_be_json(&exchange.head.headers)
        && exchange.runtime.limits.counts_by_end_user(&destination.api)
}

/// Decides how the body goes on: read where the end user has to be known, in hand where it is small, so that it can
/// be sent again, counted where its length is not told, else past the component.
pub(super) async fn read<P: Platform>(
    exchange: &AgentExchange<P>,
    destination: &Destination,
    is_read: bool,
    request: P::Request,
) -> Result<Outgoing<P::Request>, LocalReply> {
    let head = &exchange.head;
    if !head.has_body() {
        return Ok(Outgoing::without_body(request));
    }
    let length = head.content_length();
    // A body of unknown length does not leave the runtime under these methods.
    let requires_length = matches!(head.method, Method::GET | Method::HEAD);
    let limit = match length {
        _ if is_read => MAX_READ_BYTES.min(destination.rules.max_body_bytes),
        Some(length) if length <= REPEATABLE_BYTES => REPEATABLE_BYTES,
        Some(_) => return Ok(Outgoing::once(ForwardedBody::Spliced(request))),
        None if requires_length => REPEATABLE_BYTES,
        None => {
            return Ok(Outgoing::once(ForwardedBody::Counted {
                request,
                limit: destination.rules.max_body_bytes,
            }));
        }
    };
    let until = exchange
        .settlement
        .arrived
        .saturating_add(destination.timeouts().first_byte);
    let runtime = &exchange.runtime;
    let in_hand = &runtime.requests_in_hand;
    match runtime
        .platform
        .read_body(request, limit, until, in_hand)
        .await
    {
        Ok(bytes) => {
            let end_user = is_read.then(|| spillway_dify::end_user(&bytes)).flatten();
            Ok(Outgoing::in_hand(bytes, end_user))
        }
        Err(ReceiveError::TooLarge { .. }) if requires_length && !is_read && length.is_none() => {
            Err(replies::length_required())
        }
        Err(ReceiveError::TooLarge { limit }) => Err(replies::body_too_large(destination, limit)),
        Err(error) => Err(LocalReply::of_receive(&error)),
    }
}

//! Phase *read*: the body of a call. Whatever names a model is read; what is not looked into is moved by the runtime.
//!
//! What is done with a whole body is done in steps: between two of them the instance's other requests and streams go on.

use std::time::Duration;

use bytes::Bytes;
use spillway_identity::BodyDigest;
use spillway_llm::{Binding, ModelRequest, Operation, RequestError, RequestScan, names_model};
use spillway_platform::{ForwardedBody, Platform};
use spillway_surface::LocalReply;

use super::exchange::{CallEntry, ModelExchange};
use super::replies;

/// In which a request's body must be here, however steadily it comes.
const MAX_UPLOAD_TIME: Duration = Duration::from_secs(600);

/// What goes to a provider.
pub(super) enum CallBody<R> {
    /// A request that the gateway has read: each target gets it with its own name for the model.
    Read(Box<ModelRequest>),
    /// A body that it has not: there is one, and it is sent once.
    Unread(Option<ForwardedBody<R>>),
}

impl<R> CallBody<R> {
    pub fn request(&self) -> Option<&ModelRequest> {
        match self {
            Self::Read(request) => Some(request),
            Self::Unread(_) => None,
        }
    }

    /// The model that the client asks for; `None`: it names none that the gateway knows of.
    pub fn model(&self) -> Option<&str> {
        self.request().map(|request| request.model.as_str())
    }

    /// How far it is bound to where what it refers to is kept.
    pub fn binding(&self) -> Binding {
        match self.request() {
            Some(request) if request.is_bound() => Binding::Kept,
            Some(_) => Binding::Free,
            None => Binding::Unread,
        }
    }
}

/// Whether the gateway has to have the whole body: to look into it, or to hold it against its signature.
pub(super) fn reads<P: Platform>(exchange: &ModelExchange<P>, entry: &CallEntry) -> bool {
    names_its_model(exchange, entry) || entry.content_md5.is_some()
}

/// Whether the body names a model that decides on its route, whatever its content type claims it is.
fn names_its_model<P: Platform>(exchange: &ModelExchange<P>, entry: &CallEntry) -> bool {
    let path = entry.path.strip_prefix("/v1").unwrap_or(&entry.path);
    entry.operation != Operation::Stateful || names_model(&exchange.head.method, path)
}

/// Reads the body, or has the runtime move it.
pub(super) async fn read<P: Platform>(
    exchange: &ModelExchange<P>,
    entry: &CallEntry,
    request: P::Request,
) -> Result<CallBody<P::Request>, LocalReply> {
    let (platform, limit) = (&exchange.runtime.platform, entry.api.max_body_bytes);
    if !reads(exchange, entry) {
        let head = &exchange.head;
        if head.content_length().is_some_and(|length| length > limit) {
            return Err(LocalReply::body_too_large(limit));
        }
        let is_counted = head.has_body() && head.content_length().is_none();
        return Ok(CallBody::Unread(Some(if is_counted {
            ForwardedBody::Counted { request, limit }
        } else {
            ForwardedBody::Spliced(request)
        })));
    }
    let until = exchange.settlement.arrived.saturating_add(MAX_UPLOAD_TIME);
    let in_hand = &exchange.runtime.requests_in_hand;
    let body = platform
        .read_body(request, limit, until, in_hand)
        .await
        .map_err(|error| LocalReply::of_receive(&error))?;
    if !is_signed(platform, &body, entry.content_md5.as_deref()).await {
        return Err(LocalReply::invalid(
            "The body is not the one that Content-MD5 was made of.",
        ));
    }
    if !names_its_model(exchange, entry) {
        return Ok(CallBody::Unread(Some(ForwardedBody::Whole(body))));
    }
    let request = scan(platform, body, entry.operation).await;
    let request = request.map_err(replies::unreadable)?;
    Ok(CallBody::Read(Box::new(request)))
}

/// What a step of a digest takes: some 3 ms.
const STEP_BYTES: usize = 1024 * 1024;

async fn scan<P: Platform>(
    platform: &P,
    body: Bytes,
    operation: Operation,
) -> Result<ModelRequest, RequestError> {
    let mut scan = RequestScan::new(body, operation);
    loop {
        if let Some(read) = scan.step() {
            return read;
        }
        platform.yield_now().await;
    }
}

/// Whether it is the body that was signed, where one was.
async fn is_signed<P: Platform>(platform: &P, body: &Bytes, content_md5: Option<&str>) -> bool {
    let Some(content_md5) = content_md5 else {
        return true;
    };
    let mut digest = BodyDigest::default();
    for (number, piece) in body.chunks(STEP_BYTES).enumerate() {
        if number > 0 {
            platform.yield_now().await;
        }
        digest.push(piece);
    }
    digest.fits(content_md5)
}

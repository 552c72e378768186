//! Requests that are passed on, and their answers, whose bodies nobody has to read: the splice path.
//!
//! The runtime moves the bytes itself, framing kept, in bounded memory and without a copy through the component.
//! The price: the end of the body is not seen, and what was handed over cannot be sent again. So a small body is
//! taken in hand, one of unknown length is copied and counted, and any other is spliced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use spillway_platform::{
    ForwardError, ForwardRequest, ForwardedBody, ForwardedResponse, JOIN_FIELD, JoinName, SendError,
};
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response, Trailers};
use spin_sdk::wasip3::http_compat::IncomingResponseBody;
use spin_sdk::wasip3::wit_bindgen::{StreamReader, StreamResult};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

use super::errors::before_head;
use super::fields::{received, sendable};
use super::receive::PIECE_BYTES;
use super::send::{SpinBody, address, options};
use super::turn::next_turn;

type BodyResult = Result<Option<Trailers>, ErrorCode>;

/// What became of a body that was copied.
#[derive(Debug, Default)]
struct Copied {
    is_too_large: AtomicBool,
    is_broken: AtomicBool,
}

/// Forwards a request.
///
/// # Errors
/// [`ForwardError`] where no head came. The client's body is gone then, as far as it was taken.
pub(super) async fn forward(
    body: ForwardedBody<Request>,
    to: ForwardRequest<'_>,
) -> Result<ForwardedResponse<Unread>, ForwardError> {
    let before_sending = |code: ErrorCode| ForwardError::Send(before_head(&code));
    let fields = sendable(to.headers);
    if let Some(join) = to.join {
        // A name of our own, digits and a space are always allowed.
        let _ = fields.set(JOIN_FIELD, &[join.field().into_bytes()]);
    }
    let options = Some(options(to.timeouts));
    let copied = Arc::new(Copied::default());
    let mut limit = 0;
    let has_body = match &body {
        ForwardedBody::Spliced(_) => !matches!(*to.method, http::Method::GET | http::Method::HEAD),
        ForwardedBody::Whole(bytes) => !bytes.is_empty(),
        ForwardedBody::Counted { .. } => true,
    };
    let outbound = match body {
        // A body that does not exist is spliced all the same: the runtime then knows that there is none. Sent as
        // `None` its end would not be known at once, and the request would leave chunked.
        ForwardedBody::Spliced(request) => {
            let (_result, result_reader) = wit_future::new(|| Ok(()));
            let (contents, trailers) = Request::consume_body(request, result_reader);
            Request::new(fields, Some(contents), trailers, options).0
        }
        ForwardedBody::Whole(bytes) => {
            // A GET or HEAD without contents leaves without framing by itself; another method would leave chunked.
            if !bytes.is_empty() || !matches!(*to.method, http::Method::GET | http::Method::HEAD) {
                let length = bytes.len().to_string().into_bytes();
                // Its own name and digits are always allowed.
                let _ = fields.set("content-length", &[length]);
            }
            let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
            let mut contents = None;
            if !bytes.is_empty() {
                let (mut writer, reader) = wit_stream::new();
                contents = Some(reader);
                spawn(async move {
                    // An upstream that stops reading says so in its answer, or by breaking off.
                    let _ = writer.write_all(bytes.into()).await;
                    drop(writer);
                    drop(trailers);
                });
            }
            Request::new(fields, contents, trailers_reader, options).0
        }
        ForwardedBody::Counted {
            request,
            limit: max_bytes,
        } => {
            limit = max_bytes;
            let (contents, trailers) = counted(request, max_bytes, Arc::clone(&copied));
            Request::new(fields, Some(contents), trailers, options).0
        }
    };
    address(
        &outbound,
        to.method,
        to.scheme,
        to.authority,
        to.path_and_query,
    )
    .map_err(before_sending)?;
    if has_body {
        // Head and body in one write: see `respond`.
        next_turn().await;
    }
    let sent = client::send(outbound).await;
    match sent {
        Ok(response) => answered(response, to.join.is_some()).map_err(ForwardError::Send),
        Err(_) if copied.is_too_large.load(Ordering::Relaxed) => {
            Err(ForwardError::BodyTooLarge { limit })
        }
        Err(_) if copied.is_broken.load(Ordering::Relaxed) => Err(ForwardError::ClientBrokeOff),
        Err(code) => Err(before_sending(code)),
    }
}

/// Copies a body in a task of its own. Past the limit, or where the client breaks off, the upstream's request is
/// broken off as well, so that it never looks complete.
fn counted(
    request: Request,
    limit: u64,
    copied: Arc<Copied>,
) -> (
    StreamReader<u8>,
    spin_sdk::wasip3::wit_bindgen::FutureReader<BodyResult>,
) {
    let (_result, result_reader) = wit_future::new(|| Ok(()));
    let (mut from, client_trailers) = Request::consume_body(request, result_reader);
    let (mut to, contents) = wit_stream::new();
    let (end, trailers): (_, spin_sdk::wasip3::wit_bindgen::FutureReader<BodyResult>) =
        wit_future::new(|| Err(ErrorCode::InternalError(Some("broken off".to_owned()))));
    spawn(async move {
        let mut count = 0_u64;
        loop {
            let (result, piece) = from.read(Vec::with_capacity(PIECE_BYTES)).await;
            count = count.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if count > limit {
                copied.is_too_large.store(true, Ordering::Relaxed);
                return;
            }
            if !piece.is_empty() && !to.write_all(piece).await.is_empty() {
                // The upstream reads no more; it says why in its answer.
                return;
            }
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        match client_trailers.await {
            Ok(trailers) => {
                drop(to);
                let _ = end.write(Ok(trailers)).await;
            }
            Err(_) => copied.is_broken.store(true, Ordering::Relaxed),
        }
    });
    (contents, trailers)
}

/// An upstream's body that nobody has read.
#[derive(Debug)]
pub struct Unread(pub(super) Response);

impl Unread {
    pub(super) fn read(self) -> Result<SpinBody, SendError> {
        IncomingResponseBody::new(self.0)
            .map(SpinBody::new)
            .map_err(|code| before_head(&code))
    }
}

fn answered(response: Response, may_join: bool) -> Result<ForwardedResponse<Unread>, SendError> {
    let status = StatusCode::from_u16(response.get_status_code())
        .map_err(|error| SendError::Reset(error.to_string()))?;
    let headers = received(&response.get_headers())?;
    let join = headers
        .first(JOIN_FIELD)
        .filter(|_| may_join && status == StatusCode::SWITCHING_PROTOCOLS)
        .map(|name| JoinName::new(name.to_vec()));
    if status.is_informational() && join.is_none() {
        return Err(SendError::Reset(format!(
            "{status}, which nobody had asked for"
        )));
    }
    // The runtime hands on none above (RFC 9110 §15 knows none either).
    if status.as_u16() > 599 {
        return Err(SendError::Reset(format!("{status}, which is no status")));
    }
    Ok(ForwardedResponse {
        status,
        headers,
        join,
        body: Unread(response),
    })
}

//! Requests that come in.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Request, Scheme};
use spin_sdk::wasip3::wit_bindgen::StreamResult;
use spin_sdk::wasip3::wit_future;

use super::clock::SpinClock;
use spillway_platform::{BytesInHand, Clock, Headers, ReceiveError, RequestHead};

pub(super) const PIECE_BYTES: usize = 16 * 1024;

/// The most that is read at once of a body whose length is told.
const MAX_PIECE_BYTES: usize = 64 * 1024;

/// How long a client may be silent in the middle of a request's body: as long as nginx waits (its
/// `client_body_timeout`).
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(60);

/// Reads a request's head.
///
/// The peer is the *last* `spin-client-addr`: a client's own copy of that header comes before the runtime's.
pub fn request_head(request: &Request) -> RequestHead {
    let headers = Headers::from_list(request.get_headers().copy_all());
    let peer = headers
        .last("spin-client-addr")
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|value| value.parse().ok());
    RequestHead {
        method: method_of(request.get_method()),
        scheme: match request.get_scheme() {
            Some(Scheme::Https) => "https".to_owned(),
            Some(Scheme::Other(other)) => other,
            Some(Scheme::Http) | None => "http".to_owned(),
        },
        authority: request.get_authority().unwrap_or_default(),
        path_and_query: request
            .get_path_with_query()
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| "/".to_owned()),
        headers,
        peer,
    }
}

/// Reads a request's body whole, copying it in.
///
/// `until`, in the clock's time, is when it must be here; silence of [`MAX_SILENCE`] ends the wait before.
///
/// # Errors
/// [`ReceiveError`]; past the limit reading stops at once, and where the instance has no room for the body nothing is
/// read.
pub async fn read_body(
    request: Request,
    limit: u64,
    until: Duration,
    in_hand: &Arc<BytesInHand>,
) -> Result<Bytes, ReceiveError> {
    let limit_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
    let length = request
        .get_headers()
        .get("content-length")
        .first()
        .and_then(|length| {
            std::str::from_utf8(length)
                .ok()?
                .trim()
                .parse::<usize>()
                .ok()
        });
    let mut in_use = in_hand.room(length.unwrap_or_default().min(limit_bytes))?;
    // The whole of a small body, so that it comes in one piece, and never more than a client has sent.
    let mut room = length.map_or(PIECE_BYTES, |length| length.clamp(1, MAX_PIECE_BYTES));
    let (_result, result_reader) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = Request::consume_body(request, result_reader);
    let mut whole = BytesMut::new();
    loop {
        let (result, piece) = in_time(until, stream.read(Vec::with_capacity(room))).await?;
        if whole.len().saturating_add(piece.len()) > limit_bytes {
            return Err(ReceiveError::TooLarge { limit });
        }
        in_use.reach(whole.len().saturating_add(piece.len()))?;
        let rest =
            length.map(|length| length.saturating_sub(whole.len().saturating_add(piece.len())));
        room = rest.map_or(PIECE_BYTES, |rest| rest.clamp(64, MAX_PIECE_BYTES));
        if whole.is_empty() {
            whole = BytesMut::from(Bytes::from(piece));
        } else {
            whole.extend_from_slice(&piece);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    match in_time(until, trailers.into_future()).await? {
        Ok(_) => Ok(in_use.filled(whole)),
        Err(ErrorCode::ConnectionReadTimeout) => Err(ReceiveError::TooSlow),
        Err(ErrorCode::HttpRequestBodySize(_)) => Err(ReceiveError::TooLarge { limit }),
        Err(code) => Err(ReceiveError::Broken(code.to_string())),
    }
}

/// The future's output, unless the client takes too long.
async fn in_time<T>(until: Duration, future: impl Future<Output = T>) -> Result<T, ReceiveError> {
    // Polled, and so set, only where there is something to wait for.
    let timer = async {
        let rest = until.saturating_sub(SpinClock.now());
        SpinClock.sleep(rest.min(MAX_SILENCE)).await;
    };
    match select(std::pin::pin!(future), std::pin::pin!(timer)).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(((), _)) => Err(ReceiveError::TooSlow),
    }
}

fn method_of(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Connect => http::Method::CONNECT,
        Method::Options => http::Method::OPTIONS,
        Method::Trace => http::Method::TRACE,
        Method::Patch => http::Method::PATCH,
        // The runtime has parsed it as a method before.
        Method::Other(name) => {
            http::Method::from_bytes(name.as_bytes()).unwrap_or(http::Method::GET)
        }
    }
}

pub(super) fn wasi_method(method: &http::Method) -> Method {
    match method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

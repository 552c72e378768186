//! Answers that the gateway writes itself: the copy path.
//!
//! Spin leaves Nagle's algorithm on, so an answer whose head and body leave in separate writes waits some 40 ms
//! for the client's delayed acknowledgement. The cure, measured: a length or first bytes ready before the head is
//! returned, and turns of the event loop in between ([`next_turn`]).

use bytes::Bytes;
use futures_channel::oneshot;
use http::StatusCode;
use spin_sdk::wasip3::http::types::{ErrorCode, Response, Trailers};
use spin_sdk::wasip3::wit_bindgen::{FutureWriter, StreamReader, StreamWriter};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

use super::fields::sendable;
use super::forward::Unread;
use super::turn::next_turn;
use spillway_platform::{ClientLeft, Headers, OutgoingBody, ResponseWriter};

/// The most that is written at once: an answer up to this leaves in one piece.
const MAX_WRITE_BYTES: usize = 256 * 1024;

/// Answers with a body that is in hand.
///
/// # Errors
/// Where the status may not be sent; a fault of the caller.
pub(super) async fn respond(
    status: StatusCode,
    mut headers: Headers,
    body: Bytes,
) -> Result<Response, ErrorCode> {
    headers.set("content-length", body.len().to_string());
    let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
    let response = if body.is_empty() {
        drop(trailers);
        Response::new(sendable(&headers), None, trailers_reader).0
    } else {
        let (mut writer, reader) = wit_stream::new();
        let response = Response::new(sendable(&headers), Some(reader), trailers_reader).0;
        spawn(async move {
            // A large one in pieces, so that it is held once, and no longer than its room is taken.
            let mut rest = body;
            while !rest.is_empty() {
                let piece = rest.split_to(rest.len().min(MAX_WRITE_BYTES));
                if !writer.write_all(piece.into()).await.is_empty() {
                    // A client that left needs nothing more.
                    break;
                }
            }
            drop(writer);
            drop(trailers);
        });
        response
    };
    set_status(&response, status)?;
    // Twice: with one turn, of a hundred chat completions through Spin 4.1 at 16 connections one or two had their body in
    // a write of its own (99th percentile 46 ms instead of 20).
    next_turn().await;
    next_turn().await;
    Ok(response)
}

/// The two ends of a body to be streamed.
pub(super) fn response_stream() -> (SpinWriter, SpinReader) {
    let (stream, stream_reader) = wit_stream::new();
    let (result, result_reader) = wit_future::new(|| {
        Err(ErrorCode::InternalError(Some(
            "the answer was not finished".to_owned(),
        )))
    });
    let (end, ended) = oneshot::channel();
    spawn(until_dropped(ended));
    (
        SpinWriter {
            stream,
            result,
            _end: end,
        },
        SpinReader {
            stream: stream_reader,
            result: result_reader,
        },
    )
}

/// A second task beside the one that writes a stream, for as long as that goes on.
///
/// Where all tasks of a request were polled in a turn, futures-util's `FuturesUnordered`, in which wit-bindgen keeps them,
/// asks for another turn at once. With the writer alone that is a turn for nothing after each piece of each stream: a
/// ninth of what a piece costs.
async fn until_dropped(ended: oneshot::Receiver<()>) {
    // Nothing is ever sent.
    let _ = ended.await;
}

/// Answers with a body that is being streamed. Call it once the first bytes are being written.
///
/// # Errors
/// As [`respond`].
pub(super) async fn respond_with_stream(
    status: StatusCode,
    headers: &Headers,
    body: SpinReader,
) -> Result<Response, ErrorCode> {
    let (response, _) = Response::new(sendable(headers), Some(body.stream), body.result);
    set_status(&response, status)?;
    next_turn().await;
    Ok(response)
}

/// Answers with an upstream's body and trailers, moved by the runtime.
///
/// # Errors
/// As [`respond`].
pub(super) fn splice(
    status: StatusCode,
    headers: &Headers,
    body: Unread,
) -> Result<Response, ErrorCode> {
    let (_result, result_reader) = wit_future::new(|| Ok(()));
    let (contents, trailers) = Response::consume_body(body.0, result_reader);
    let (answer, _) = Response::new(sendable(headers), Some(contents), trailers);
    set_status(&answer, status)?;
    Ok(answer)
}

type BodyResult = Result<Option<Trailers>, ErrorCode>;

/// The reading end, which goes to the runtime.
#[derive(Debug)]
pub struct SpinReader {
    stream: StreamReader<u8>,
    result: spin_sdk::wasip3::wit_bindgen::FutureReader<BodyResult>,
}

/// The writing end of a streamed body. Dropped without [`ResponseWriter::finish`], the client's connection is
/// broken off, so that a cut stream never looks complete.
#[derive(Debug)]
pub struct SpinWriter {
    stream: StreamWriter<u8>,
    result: FutureWriter<BodyResult>,
    /// What [`until_dropped`] waits for.
    _end: oneshot::Sender<()>,
}

impl ResponseWriter for SpinWriter {
    async fn finish(self, trailers: Option<Headers>) {
        drop(self.stream);
        let trailers = trailers.map(|trailers| sendable(&trailers));
        // A client that left needs nothing more.
        let _ = self.result.write(Ok(trailers)).await;
    }
}

impl OutgoingBody for SpinWriter {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), ClientLeft> {
        if self.stream.write_all(bytes).await.is_empty() {
            Ok(())
        } else {
            Err(ClientLeft)
        }
    }
}

fn set_status(response: &Response, status: StatusCode) -> Result<(), ErrorCode> {
    response
        .set_status_code(status.as_u16())
        .map_err(|()| ErrorCode::InternalError(Some(format!("status {status} cannot be sent"))))
}

//! Answers to clients.

use std::cell::Cell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use futures_channel::mpsc;
use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use spillway_platform::{ClientLeft, Headers, IncomingBody as _, OutgoingBody, ResponseWriter};

use crate::SimBody;

/// An answer whose body may still be coming.
pub struct SimResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: Headers,
    pub(crate) body: ResponseBody,
}

pub(crate) enum ResponseBody {
    Whole(Bytes),
    Spliced(SimBody),
    Streamed(SimReader),
}

/// An answer as a client has read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimAnswer {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body, as far as it came.
    pub body: Bytes,
    /// Whether it ended, and was not cut.
    pub is_complete: bool,
}

impl SimAnswer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl SimResponse {
    /// Reads all of it.
    pub async fn read(self) -> SimAnswer {
        self.read_pieces(usize::MAX).await
    }

    /// Reads so many pieces, and leaves.
    pub async fn read_pieces(self, pieces: usize) -> SimAnswer {
        let mut body = BytesMut::new();
        let is_complete = match self.body {
            ResponseBody::Whole(bytes) => {
                body.extend_from_slice(&bytes);
                true
            }
            ResponseBody::Spliced(mut spliced) => loop {
                match spliced.next().await {
                    Ok(Some(piece)) => body.extend_from_slice(&piece),
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            },
            ResponseBody::Streamed(mut reader) => {
                let mut left = pieces;
                loop {
                    if left == 0 {
                        break false;
                    }
                    left = left.saturating_sub(1);
                    match reader.pieces.next().await {
                        Some(piece) => body.extend_from_slice(&piece),
                        None => break reader.is_finished.get(),
                    }
                }
            }
        };
        SimAnswer {
            status: self.status.as_u16(),
            headers: self.headers,
            body: body.freeze(),
            is_complete,
        }
    }
}

/// The reading end of a streamed answer.
pub struct SimReader {
    pieces: mpsc::Receiver<Vec<u8>>,
    is_finished: Rc<Cell<bool>>,
}

/// The writing end of a streamed answer.
pub struct SimWriter {
    pieces: mpsc::Sender<Vec<u8>>,
    is_finished: Rc<Cell<bool>>,
}

pub(crate) fn response_stream() -> (SimWriter, SimReader) {
    let (sender, receiver) = mpsc::channel(0);
    let is_finished = Rc::new(Cell::new(false));
    let writer = SimWriter {
        pieces: sender,
        is_finished: Rc::clone(&is_finished),
    };
    let reader = SimReader {
        pieces: receiver,
        is_finished,
    };
    (writer, reader)
}

impl OutgoingBody for SimWriter {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), ClientLeft> {
        self.pieces.send(bytes).await.map_err(|_| ClientLeft)
    }
}

impl ResponseWriter for SimWriter {
    async fn finish(self, _: Option<Headers>) {
        self.is_finished.set(true);
    }
}

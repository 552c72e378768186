//! An answer on its way in.

use bytes::{Buf, Bytes};

use super::{Connection, End, Head, Response};
use crate::{ChunkedDecoder, ChunkedPiece, StandinError};

/// An answer of which the head has come.
#[derive(Debug)]
pub struct Incoming {
    /// Status and headers.
    pub head: Head,
    connection: Connection,
    framing: Framing,
    pieces: Vec<Bytes>,
    trailers: Vec<(String, String)>,
    end: Option<End>,
    /// What has come and was not yet given out as an event.
    unread: Vec<u8>,
}

#[derive(Debug)]
enum Framing {
    Length(usize),
    Chunked(ChunkedDecoder),
    UntilClose,
}

impl Incoming {
    pub(super) fn new(connection: Connection, head: Head, method: &str) -> Self {
        let length = head
            .header("content-length")
            .and_then(|value| value.parse().ok());
        let bodiless = method == "HEAD" || matches!(head.status, 204 | 304);
        let framing = match (head.header("transfer-encoding"), length) {
            _ if bodiless => Framing::Length(0),
            (Some(_), _) => Framing::Chunked(ChunkedDecoder::default()),
            (None, Some(length)) => Framing::Length(length),
            (None, None) => Framing::UntilClose,
        };
        Self {
            head,
            connection,
            framing,
            pieces: Vec::new(),
            trailers: Vec::new(),
            end: None,
            unread: Vec::new(),
        }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// How it ended; `None` while it has not.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The next piece of the body; `None` after the end.
    ///
    /// # Errors
    /// When nothing comes for 60 s. A broken connection is no error but a dirty end.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, StandinError> {
        while self.end.is_none() {
            if let Some(piece) = self.take_piece() {
                self.pieces.push(piece.clone());
                self.unread.extend_from_slice(&piece);
                return Ok(Some(piece));
            }
            if self.end.is_some() {
                break;
            }
            let until_close = matches!(self.framing, Framing::UntilClose);
            match self.connection.read("more of the answer").await {
                Ok(1..) => {}
                Ok(_) if until_close => self.end = Some(End::Clean),
                Ok(_) => self.end = Some(End::Dirty("closed too early".to_owned())),
                Err(waited @ StandinError::Waited { .. }) => return Err(waited),
                Err(error) => self.end = Some(End::Dirty(error.to_string())),
            }
        }
        Ok(None)
    }

    /// A piece out of what has been read already; sets the end when that is reached.
    fn take_piece(&mut self) -> Option<Bytes> {
        let buffer = &mut self.connection.buffer;
        match &mut self.framing {
            Framing::Length(left) => {
                if *left == 0 {
                    self.end = Some(End::Clean);
                    return None;
                }
                let size = buffer.len().min(*left);
                *left = left.saturating_sub(size);
                (size > 0).then(|| buffer.copy_to_bytes(size))
            }
            Framing::UntilClose => {
                let size = buffer.len();
                (size > 0).then(|| buffer.copy_to_bytes(size))
            }
            Framing::Chunked(decoder) => match decoder.decode(buffer) {
                Ok(Some(ChunkedPiece::Data(bytes))) => Some(bytes),
                Ok(Some(ChunkedPiece::End(trailers))) => {
                    self.trailers = trailers;
                    self.end = Some(End::Clean);
                    None
                }
                Ok(None) => None,
                Err(error) => {
                    self.end = Some(End::Dirty(error.to_string()));
                    None
                }
            },
        }
    }

    /// The next block of an event stream without its blank line (LF LF, as this client is strict); `None` when
    /// the answer ends before there is one.
    ///
    /// # Errors
    /// As [`next_piece`](Self::next_piece).
    pub async fn next_block(&mut self) -> Result<Option<String>, StandinError> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end.saturating_add(2)).collect();
                let block = String::from_utf8_lossy(&block).into_owned();
                return Ok(Some(block.trim_end_matches('\n').to_owned()));
            }
            if self.next_piece().await?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// As [`next_piece`](Self::next_piece).
    pub async fn finish(self) -> Result<Response, StandinError> {
        self.finish_and_keep().await.map(|(response, _)| response)
    }

    /// Waits for the end and gives the connection back for another request.
    ///
    /// # Errors
    /// As [`next_piece`](Self::next_piece).
    pub async fn finish_and_keep(mut self) -> Result<(Response, Connection), StandinError> {
        while self.next_piece().await?.is_some() {
            self.unread.clear();
        }
        let response = Response {
            head: self.head,
            body: self.pieces.concat().into(),
            pieces: self.pieces,
            trailers: self.trailers,
            end: self.end.unwrap_or(End::Clean),
        };
        Ok((response, self.connection))
    }
}

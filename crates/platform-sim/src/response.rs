//! Answers to clients.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use spillway_platform::{Headers, IncomingBody as _};

use crate::SimBody;
use crate::pipe::{PipeEnd, SimReader};

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
    pub async fn read_pieces(mut self, pieces: usize) -> SimAnswer {
        let mut answer = self.begin();
        for _ in 0..pieces {
            if !self.read_on(&mut answer).await {
                break;
            }
        }
        answer
    }

    /// The answer before anything of its body has been read.
    pub fn begin(&self) -> SimAnswer {
        SimAnswer {
            status: self.status.as_u16(),
            headers: self.headers.clone(),
            body: Bytes::new(),
            is_complete: false,
        }
    }

    /// Adds the next piece to what was read; `false`: it has ended, or was cut.
    pub async fn read_on(&mut self, answer: &mut SimAnswer) -> bool {
        let piece = match &mut self.body {
            ResponseBody::Whole(bytes) => match std::mem::take(bytes) {
                bytes if bytes.is_empty() => Ok(None),
                bytes => Ok(Some(bytes)),
            },
            ResponseBody::Spliced(spliced) => spliced.next().await.map_err(|_| ()),
            ResponseBody::Streamed(reader) => match reader.next().await {
                Ok(piece) => Ok(Some(Bytes::from(piece))),
                Err(PipeEnd::Finished) => Ok(None),
                Err(PipeEnd::Cut) => Err(()),
            },
        };
        let Ok(Some(piece)) = piece else {
            answer.is_complete = piece.is_ok();
            return false;
        };
        let mut body = BytesMut::from(std::mem::take(&mut answer.body));
        body.extend_from_slice(&piece);
        answer.body = body.freeze();
        true
    }
}

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
                    match reader.next().await {
                        Ok(piece) => body.extend_from_slice(&piece),
                        Err(end) => break end == PipeEnd::Finished,
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

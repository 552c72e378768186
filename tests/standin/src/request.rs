//! A request as it arrived, and reading it from a socket.

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{ChunkedDecoder, ChunkedPiece, StandinError, recorder::Recorder};

/// So much of a request's body is kept; the rest is counted and hashed only.
const BODY_KEPT: usize = 8 * 1024 * 1024;
/// The largest request head taken.
const HEAD_LIMIT: usize = 512 * 1024;
/// The most header lines taken.
const HEADER_LIMIT: usize = 512;
/// So much is read at once.
const READ_SIZE: usize = 64 * 1024;

/// Which stand-in got a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Dify's back end.
    Api,
    /// Dify's front end.
    Web,
    /// Dify's plugin daemon.
    PluginDaemon,
    /// A model vendor.
    Model,
    /// A retrieval engine.
    Knowledge,
}

/// How a request's body was delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// Neither `Content-Length` nor `Transfer-Encoding`: no body.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// Who got it.
    pub service: Service,
    /// Counts the connections of the stand-in, from 1; equal numbers mean the same connection.
    pub connection: u64,
    /// The method.
    pub method: String,
    /// The request target exactly as sent.
    pub target: String,
    /// Header lines in order, duplicates included, names as sent.
    pub headers: Vec<(String, Bytes)>,
    /// How the body was delimited.
    pub framing: BodyFraming,
    /// The first 8 MiB of the body.
    pub body: Bytes,
    /// The length of the whole body in bytes.
    pub body_length: u64,
    /// SHA-256 of the whole body in lower-case hexadecimal digits.
    pub body_sha256: String,
    /// Whether the body arrived to its end.
    pub body_complete: bool,
    /// Trailers after a chunked body, in order, names as sent.
    pub trailers: Vec<(String, String)>,
}

impl RecordedRequest {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The values of a header, in order; names compare in any case.
    pub fn header_values(&self, name: &str) -> Vec<String> {
        let named = |(header, _): &&(String, Bytes)| header.eq_ignore_ascii_case(name);
        let text = |(_, value): &(String, Bytes)| String::from_utf8_lossy(value).into_owned();
        self.headers.iter().filter(named).map(text).collect()
    }

    /// The values of a header joined by `, `, as a list header is read; `None` when there is none.
    pub fn header(&self, name: &str) -> Option<String> {
        let values = self.header_values(name);
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The body as JSON, null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the text stands in the target, in a header value or in the kept part of the body.
    pub fn mentions(&self, text: &str) -> bool {
        let within = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        self.target.contains(text)
            || self.headers.iter().any(|(_, value)| within(value))
            || within(&self.body)
    }

    /// Whether the client wants the connection closed afterwards.
    pub(crate) fn wants_close(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default();
        connection.to_ascii_lowercase().contains("close")
    }
}

/// Reads the next request; `None` when the peer closed the connection between requests.
///
/// # Errors
/// When the peer sent no HTTP, or the connection broke within a head.
pub(crate) async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    service: Service,
    connection: u64,
    recorder: &Recorder,
) -> Result<Option<RecordedRequest>, StandinError> {
    let mut request = loop {
        if let Some(request) = parse_head(buffer, service, connection)? {
            break request;
        }
        if buffer.len() > HEAD_LIMIT {
            return Err(StandinError::NotHttp("the head is too long".to_owned()));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let mut body = Body::default();
    request.body_complete = match request.framing {
        BodyFraming::None => true,
        BodyFraming::Length(length) => body.read_length(stream, buffer, length, recorder).await,
        BodyFraming::Chunked => body.read_chunked(stream, buffer, recorder).await,
    };
    request.body = body.kept.freeze();
    request.trailers = body.trailers;
    request.body_length = body.length;
    request.body_sha256 = body
        .hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Some(request))
}

/// Takes a head out of the buffer, or nothing while it is not whole.
fn parse_head(
    buffer: &mut BytesMut,
    service: Service,
    connection: u64,
) -> Result<Option<RecordedRequest>, StandinError> {
    let mut lines = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut parsed = httparse::Request::new(&mut lines);
    let status = parsed
        .parse(buffer)
        .map_err(|error| StandinError::NotHttp(error.to_string()))?;
    let httparse::Status::Complete(length) = status else {
        return Ok(None);
    };
    let owned = |header: &httparse::Header<'_>| {
        (header.name.to_owned(), Bytes::copy_from_slice(header.value))
    };
    let mut request = RecordedRequest {
        service,
        connection,
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed.headers.iter().map(owned).collect(),
        framing: BodyFraming::None,
        body: Bytes::new(),
        body_length: 0,
        body_sha256: String::new(),
        body_complete: false,
        trailers: Vec::new(),
    };
    let length_header = request
        .header("content-length")
        .and_then(|value| value.parse().ok());
    request.framing = match (request.header("transfer-encoding"), length_header) {
        (Some(_), _) => BodyFraming::Chunked,
        (None, Some(length)) => BodyFraming::Length(length),
        (None, None) => BodyFraming::None,
    };
    buffer.advance(length);
    Ok(Some(request))
}

/// A body on its way in: counted and hashed, its beginning kept.
#[derive(Default)]
struct Body {
    kept: BytesMut,
    length: u64,
    hash: Sha256,
    trailers: Vec<(String, String)>,
}

impl Body {
    fn take(&mut self, bytes: &[u8], recorder: &Recorder) {
        let room = BODY_KEPT.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept
            .extend_from_slice(bytes.get(..room).unwrap_or_default());
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.length = self.length.saturating_add(count);
        self.hash.update(bytes);
        recorder.body_bytes(count);
    }

    /// Whether the whole body came.
    async fn read_length(
        &mut self,
        stream: &mut TcpStream,
        buffer: &mut BytesMut,
        length: u64,
        recorder: &Recorder,
    ) -> bool {
        loop {
            let missing = length.saturating_sub(self.length);
            let size = buffer
                .len()
                .min(usize::try_from(missing).unwrap_or(usize::MAX));
            self.take(&buffer.split_to(size), recorder);
            if self.length >= length {
                return true;
            }
            buffer.reserve(READ_SIZE);
            if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
                return false;
            }
        }
    }

    /// Whether the whole body came.
    async fn read_chunked(
        &mut self,
        stream: &mut TcpStream,
        buffer: &mut BytesMut,
        recorder: &Recorder,
    ) -> bool {
        let mut decoder = ChunkedDecoder::default();
        loop {
            match decoder.decode(buffer) {
                Ok(Some(ChunkedPiece::Data(bytes))) => self.take(&bytes, recorder),
                Ok(Some(ChunkedPiece::End(trailers))) => {
                    self.trailers = trailers;
                    return true;
                }
                Ok(None) => {
                    buffer.reserve(READ_SIZE);
                    if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }
}

//! What is sent, and what came back.

use bytes::Bytes;
use serde_json::Value;

use crate::{
    StandinError,
    chunked::{chunk, last_chunk},
};

/// A request to send.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target, sent as it is.
    pub target: String,
    /// Header lines in order, sent as they are.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// A request's body, and how it is delimited.
#[derive(Debug, Clone)]
pub enum Body {
    /// None, and no header about it.
    None,
    /// With `Content-Length`.
    Length(Bytes),
    /// With `Transfer-Encoding: chunked`, one chunk a part.
    Chunked(Vec<Bytes>),
    /// The same with trailers after it.
    Trailed(Vec<Bytes>, Vec<(String, String)>),
    /// As it is, without any header about it.
    Raw(Bytes),
}

impl Request {
    /// Without headers and body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Body::None,
        }
    }

    /// `GET`.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// `POST` of JSON.
    pub fn json(target: &str, value: &Value) -> Self {
        Self::post(target, "application/json", value.to_string())
    }

    /// `POST` of a body with a length.
    pub fn post(target: &str, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new("POST", target)
            .header("Content-Type", content_type)
            .body(Body::Length(body.into()))
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `Authorization: Bearer KEY`.
    #[must_use]
    pub fn bearer(self, key: &str) -> Self {
        self.header("Authorization", &format!("Bearer {key}"))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Head and body as bytes.
    pub(super) fn encode(&self, authority: &str) -> (Vec<u8>, Vec<Bytes>) {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head.push_str(&format!("Host: {authority}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = match &self.body {
            Body::None => Vec::new(),
            Body::Raw(bytes) => vec![bytes.clone()],
            Body::Length(bytes) => {
                head.push_str(&format!("Content-Length: {}\r\n", bytes.len()));
                vec![bytes.clone()]
            }
            Body::Chunked(parts) => chunked(&mut head, parts, &[]),
            Body::Trailed(parts, trailers) => chunked(&mut head, parts, trailers),
        };
        head.push_str("\r\n");
        (head.into_bytes(), body)
    }
}

/// Says in the head that the body is chunked, and gives the chunks.
fn chunked(head: &mut String, parts: &[Bytes], trailers: &[(String, String)]) -> Vec<Bytes> {
    head.push_str("Transfer-Encoding: chunked\r\n");
    let chunks = parts.iter().map(|part| Bytes::from(chunk(part)));
    chunks.chain([last_chunk(trailers).into()]).collect()
}

/// The head of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Header lines in order, duplicates included, names as sent.
    pub headers: Vec<(String, Bytes)>,
}

impl Head {
    /// The values of a header, in order; names compare in any case.
    pub fn header_values(&self, name: &str) -> Vec<String> {
        let named = |(header, _): &&(String, Bytes)| header.eq_ignore_ascii_case(name);
        let text = |(_, value): &(String, Bytes)| String::from_utf8_lossy(value).into_owned();
        self.headers.iter().filter(named).map(text).collect()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        self.header_values(name).into_iter().next()
    }

    /// The head at the beginning of the bytes and its length, once it is whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, StandinError> {
        let mut lines = [httparse::EMPTY_HEADER; 256];
        let mut parsed = httparse::Response::new(&mut lines);
        let status = parsed.parse(bytes).map_err(|error| {
            let text = String::from_utf8_lossy(bytes);
            StandinError::NotHttp(format!("{error} in {text:?}"))
        })?;
        let httparse::Status::Complete(length) = status else {
            return Ok(None);
        };
        let owned = |header: &httparse::Header<'_>| {
            (header.name.to_owned(), Bytes::copy_from_slice(header.value))
        };
        let head = Self {
            status: parsed.code.unwrap_or_default(),
            headers: parsed.headers.iter().map(owned).collect(),
        };
        Ok(Some((head, length)))
    }
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// As its framing promised.
    Clean,
    /// Before that: closed or reset too early, or not the promised framing.
    Dirty(String),
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status and headers.
    pub head: Head,
    /// The body, without transfer coding.
    pub body: Bytes,
    /// The same in the pieces in which it came: no piece spans two chunks.
    pub pieces: Vec<Bytes>,
    /// Trailers.
    pub trailers: Vec<(String, String)>,
    /// How it ended.
    pub end: End,
}

impl Response {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        self.head.header(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

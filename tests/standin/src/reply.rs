//! A whole answer.

use bytes::Bytes;
use serde_json::Value;

use crate::{
    RecordedRequest, Step,
    chunked::{chunk, last_chunk},
};

/// A whole answer: status, headers, body.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Header lines in order. `Content-Length` is added when neither it nor `Transfer-Encoding` is here.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Sends the body chunked, so many bytes a chunk, rather than with a length.
    pub chunk_size: Option<usize>,
    /// Trailers after a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Reply {
    /// No headers, no body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            chunk_size: None,
            trailers: Vec::new(),
        }
    }

    /// A JSON body.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status)
            .header("Content-Type", "application/json")
            .body(value.to_string())
    }

    /// A page.
    pub fn html(status: u16, page: &str) -> Self {
        Self::new(status)
            .header("Content-Type", "text/html; charset=utf-8")
            .body(page.to_owned())
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body chunked, `size` bytes a chunk.
    #[must_use]
    pub fn chunked(mut self, size: usize) -> Self {
        self.chunk_size = Some(size.max(1));
        self
    }

    /// Adds a trailer. Only a chunked body has room for it.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(header, _)| header.eq_ignore_ascii_case(name))
    }

    /// The bytes that answer `request`.
    pub(crate) fn steps(&self, request: &RecordedRequest) -> Vec<Step> {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\n",
            self.status,
            reason_phrase(self.status)
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        let framed = self.has("content-length") || self.has("transfer-encoding");
        if self.chunk_size.is_some() {
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else if !bodiless && !framed {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut steps = vec![Step::Write(head.into())];
        if bodiless || request.method == "HEAD" {
            return steps;
        }
        match self.chunk_size {
            Some(size) => {
                let chunks = self
                    .body
                    .chunks(size)
                    .map(|part| Step::Write(chunk(part).into()));
                steps.extend(chunks);
                steps.push(Step::Write(last_chunk(&self.trailers).into()));
            }
            None => steps.push(Step::Write(self.body.clone())),
        }
        steps
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Site Is Overloaded",
        _ => "Status",
    }
}

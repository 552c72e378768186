//! Requests: those of clients, and those that upstreams got.

use bytes::Bytes;
use http::Method;
use spillway_platform::{Headers, RequestHead};

use crate::PeerStep;

/// A client's request.
#[derive(Debug, Clone)]
pub struct SimRequest {
    pub(crate) head: RequestHead,
    pub(crate) body: Vec<PeerStep>,
}

impl SimRequest {
    /// A request without a body.
    pub fn new(method: Method, path_and_query: &str) -> Self {
        Self {
            head: RequestHead {
                method,
                scheme: "http".to_owned(),
                authority: "gateway".to_owned(),
                path_and_query: path_and_query.to_owned(),
                headers: Headers::default(),
                peer: Some(([192, 0, 2, 1], 40_000).into()),
            },
            body: Vec::new(),
        }
    }

    /// `GET`.
    pub fn get(path_and_query: &str) -> Self {
        Self::new(Method::GET, path_and_query)
    }

    /// `POST` of a JSON document.
    pub fn json(path_and_query: &str, document: &str) -> Self {
        let length = document.len().to_string();
        Self::new(Method::POST, path_and_query)
            .header("content-type", "application/json")
            .header("content-length", &length)
            .body(vec![PeerStep::piece(document)])
    }

    /// With a header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.headers.append(name, value);
        self
    }

    /// With a body that comes so.
    pub fn body(mut self, body: Vec<PeerStep>) -> Self {
        self.body = body;
        self
    }
}

/// What an upstream was asked.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// Host and port.
    pub authority: String,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path_and_query: String,
    /// Header fields.
    pub headers: Headers,
    /// The body, whole.
    pub body: Bytes,
}

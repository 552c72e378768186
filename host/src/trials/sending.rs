//! Sending the request of a trial, and why none was answered.

use std::error::Error as _;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::outbound::Connector;

/// How long an answer may take, its connection included.
const PATIENCE: Duration = Duration::from_secs(5);

/// So much of an answer is read: in bytes. Lists of models are long, and what tells of a refusal is short.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Sends by the same connector as components do: names, roots and protocols are theirs.
pub(crate) struct Sender(Client<Connector, Full<Bytes>>);

/// What an upstream answered.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub location: Option<String>,
    /// Empty where it is longer than what is read, or broke off.
    pub body: Bytes,
}

impl Sender {
    pub fn new() -> Self {
        let connector = Connector::new(None, true, Weak::new());
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Sends a request. Fails in an operator's words.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let asking = async {
            let response = self
                .0
                .request(request)
                .await
                .map_err(|error| in_words(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let location = head.headers.get(header::LOCATION);
            Ok(Answer {
                status: head.status,
                location: location.and_then(|it| it.to_str().ok()).map(str::to_owned),
                body: body.map(|body| body.to_bytes()).unwrap_or_default(),
            })
        };
        let answered = timeout(PATIENCE, asking).await;
        answered.unwrap_or_else(|_| Err(format!("does not answer within {} s", PATIENCE.as_secs())))
    }
}

fn in_words(error: &Error) -> String {
    use wasmtime_wasi_http::Error as Cause;
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<Cause>() {
            return match cause {
                Cause::DnsError { .. } => "has a name that does not resolve",
                Cause::ConnectionRefused => {
                    "takes no connection: nothing listens there, or nothing leads there"
                }
                Cause::ConnectionTimeout => "takes no connection in time",
                Cause::TlsCertificateError => {
                    "has a certificate that is not trusted; the line above says why"
                }
                Cause::TlsProtocolError => "speaks no TLS that could be understood: is it http?",
                _ => return format!("cannot be reached: {cause}"),
            }
            .to_owned();
        }
        source = cause.source();
    }
    if error.is_connect() {
        return format!("cannot be reached: {error}");
    }
    "breaks off, or answers with what is no HTTP: is it https?".to_owned()
}

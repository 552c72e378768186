//! Requests with a body in hand, and answers that are read: the copy path.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as _;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, RequestOptions, Scheme};
use spin_sdk::wasip3::http_compat::IncomingResponseBody;
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

use super::errors::{before_head, within_body};
use super::fields::{received, sendable};
use super::receive::wasi_method;
use super::turn::next_turn;
use super::variables::variable;
use spillway_platform::{
    Gate, Headers, InboundResponse, IncomingBody, OutboundRequest, SendError, Timeouts,
};

/// The embedded host's own variable: `true` while its instances hold more memory than they should.
const MEMORY_IS_SHORT: &str = "spillway_memory_is_short";

/// An answer's body. Dropping it closes the upstream's connection.
pub struct SpinBody {
    body: IncomingResponseBody,
    gate: Gate,
    trailers: Option<Headers>,
}

impl SpinBody {
    pub(super) fn new(body: IncomingResponseBody) -> Self {
        Self {
            body,
            gate: Gate::default(),
            trailers: None,
        }
    }
}

impl std::fmt::Debug for SpinBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SpinBody")
    }
}

/// Sends through the runtime, which pools connections.
pub(super) async fn send(
    outbound: OutboundRequest,
) -> Result<InboundResponse<SpinBody>, SendError> {
    let mut headers = outbound.headers;
    let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
    let mut contents = None;
    if !outbound.body.is_empty() {
        headers.set("content-length", outbound.body.len().to_string());
        let (mut writer, reader) = wit_stream::new();
        contents = Some(reader);
        spawn(async move {
            // An upstream that stops reading says so in its answer, or by breaking off.
            let _ = writer.write_all(outbound.body.into()).await;
            drop(writer);
            drop(trailers);
        });
    }
    let has_body = contents.is_some();
    let fields = sendable(&headers);
    let (request, _) = Request::new(
        fields,
        contents,
        trailers_reader,
        Some(options(outbound.timeouts)),
    );
    address(
        &request,
        &outbound.method,
        &outbound.scheme,
        &outbound.authority,
        &outbound.path_and_query,
    )
    .map_err(|code| before_head(&code))?;
    if has_body {
        // Head and body in one write: see `respond`.
        next_turn().await;
    }
    let response = client::send(request)
        .await
        .map_err(|code| before_head(&code))?;
    let status = StatusCode::from_u16(response.get_status_code())
        .map_err(|error| SendError::Reset(error.to_string()))?;
    let headers = received(&response.get_headers())?;
    let body = IncomingResponseBody::new(response).map_err(|code| before_head(&code))?;
    Ok(InboundResponse {
        status,
        headers,
        body: SpinBody::new(body),
    })
}

impl IncomingBody for SpinBody {
    fn take_trailers(&mut self) -> Option<Headers> {
        self.trailers.take()
    }

    async fn may_be_buffered(&self) -> bool {
        // Spin knows no such variable, and has no memory budget.
        !matches!(variable(MEMORY_IS_SHORT).await, Ok(Some(said)) if said == "true")
    }

    async fn next(&mut self) -> Result<Option<Bytes>, SendError> {
        loop {
            // The read that has begun lives in the body, not in this future: dropping the future loses nothing.
            let body = &mut self.body;
            let frame = poll_fn(|context| {
                self.gate
                    .poll(context, |context| Pin::new(&mut *body).poll_frame(context))
            });
            match frame.await {
                None => return Ok(None),
                Some(Err(code)) => return Err(within_body(&code)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Ok(Some(data)),
                    // Trailers: the end follows.
                    Err(frame) => {
                        let list = frame.into_trailers().ok().map(|trailers| {
                            trailers
                                .iter()
                                .map(|(name, value)| {
                                    (name.as_str().to_owned(), value.as_bytes().to_vec())
                                })
                                .collect()
                        });
                        self.trailers = list.map(Headers::from_list);
                    }
                },
            }
        }
    }
}

pub(super) fn options(timeouts: Timeouts) -> RequestOptions {
    let options = RequestOptions::new();
    let nanoseconds =
        |duration: Duration| Some(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    // A runtime that knows no timeouts answers with an error; the deadlines of policies hold without it.
    let _ = options.set_connect_timeout(nanoseconds(timeouts.connect));
    let _ = options.set_first_byte_timeout(nanoseconds(timeouts.first_byte));
    let _ = options.set_between_bytes_timeout(nanoseconds(timeouts.between_bytes));
    options
}

pub(super) fn address(
    request: &Request,
    method: &http::Method,
    scheme: &str,
    authority: &str,
    path_and_query: &str,
) -> Result<(), ErrorCode> {
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => Scheme::Other(other.to_owned()),
    };
    request
        .set_method(&wasi_method(method))
        .map_err(|()| ErrorCode::HttpRequestMethodInvalid)?;
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    request
        .set_authority(Some(authority))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    request
        .set_path_with_query(Some(path_and_query))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)
}

//! Requests and answers whose bodies nobody reads: the splice path.
//!
//! The runtime moves the bytes itself, framing kept, in bounded memory and without a copy through the component.
//! The price: the end of the body is not seen, so status and time to head are all that can be told.

use http::StatusCode;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};
use spin_sdk::wasip3::wit_bindgen::yield_async;
use spin_sdk::wasip3::wit_future;

use super::errors::before_head;
use super::respond::fields;
use super::send::{address, options};
use crate::{Headers, SendError, Timeouts};

/// Where a request is forwarded to.
#[derive(Debug, Clone)]
pub struct Forwarded<'a> {
    /// The method.
    pub method: &'a http::Method,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// Path and query.
    pub path_and_query: &'a str,
    /// Header fields, fit to be sent.
    pub headers: &'a Headers,
    /// Whether the client's request has a body.
    pub has_body: bool,
    /// How long each phase may take.
    pub timeouts: Timeouts,
}

/// Forwards a request; the answer can be returned as it is.
///
/// # Errors
/// [`SendError`] where no head came. The client's body is gone then, as far as it was taken.
pub async fn forward(
    inbound: Request,
    to: Forwarded<'_>,
) -> Result<(StatusCode, Response), SendError> {
    let fields = fields(to.headers).map_err(|code| before_head(&code))?;
    let options = Some(options(to.timeouts));
    // A body that does not exist is spliced all the same: the runtime then knows that there is none. Sent as
    // `None` its end would not be known at once, and the request would leave chunked.
    let (_result, result_reader) = wit_future::new(|| Ok(()));
    let (contents, trailers) = Request::consume_body(inbound, result_reader);
    let (outbound, _) = Request::new(fields, Some(contents), trailers, options);
    address(
        &outbound,
        to.method,
        to.scheme,
        to.authority,
        to.path_and_query,
    )
    .map_err(|code| before_head(&code))?;
    if to.has_body {
        // Head and body in one write: see `respond`.
        yield_async().await;
    }
    let response = client::send(outbound)
        .await
        .map_err(|code: ErrorCode| before_head(&code))?;
    let status = StatusCode::from_u16(response.get_status_code())
        .map_err(|error| SendError::Reset(error.to_string()))?;
    Ok((status, response))
}

/// The answer with further header fields, its body still spliced; as it is where there are none.
pub fn with_headers(response: Response, further: &[(&'static str, String)]) -> Response {
    if further.is_empty() {
        return response;
    }
    let status = response.get_status_code();
    let headers = response.get_headers().clone();
    for (name, value) in further {
        // A copy can be changed, and these names are allowed. An upstream's own field of the name gives way.
        let _ = headers.set(name, &[value.clone().into_bytes()]);
    }
    let (_result, result_reader) = wit_future::new(|| Ok(()));
    let (contents, trailers) = Response::consume_body(response, result_reader);
    let (rebuilt, _) = Response::new(headers, Some(contents), trailers);
    // It was a status before.
    let _ = rebuilt.set_status_code(status);
    rebuilt
}

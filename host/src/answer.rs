//! Answers that the host gives by itself.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::Error;

use crate::body::GuardedBody;

/// An answer with a body.
pub fn full(status: StatusCode, body: Bytes) -> Response<GuardedBody> {
    let body = Full::new(body).map_err(Error::from).boxed_unsync();
    let mut response = Response::new(GuardedBody::new(body, None));
    *response.status_mut() = status;
    response
}

/// An answer without one.
pub fn empty(status: StatusCode) -> Response<GuardedBody> {
    full(status, Bytes::new())
}

/// What a client gets when a component fails.
pub fn internal_error() -> Response<GuardedBody> {
    empty(StatusCode::INTERNAL_SERVER_ERROR)
}

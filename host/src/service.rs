//! Answering one request: the way to its component and back.

use std::net::SocketAddr;

use http::uri::Scheme;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::answer::{empty, full, internal_error};
use crate::application::{Application, WELL_KNOWN_PREFIX};
use crate::body::{GuardedBody, WireBody};
use crate::instance::RequestOrigin;
use crate::log_lines::notice_of;
use crate::outbound::reveal_all;
use crate::spin_headers::{self, Refusal};
use crate::upgrade::Offer;

/// Answers a client's request.
///
/// # Errors
/// When the connection has to be closed without an answer.
pub async fn answer(
    application: &Application,
    request: Request<Incoming>,
    scheme: &Scheme,
    client: SocketAddr,
) -> Result<Response<GuardedBody>, Refusal> {
    let (mut parts, incoming) = request.into_parts();
    let offer = Offer::of(&mut parts);
    spin_headers::strip_connection_headers(&mut parts.headers);
    let path = parts.uri.path();
    if let Some(well_known) = path.strip_prefix(WELL_KNOWN_PREFIX) {
        return Ok(answer_well_known(application, well_known));
    }
    let Some(found) = application.router.find(path) else {
        return Ok(empty(StatusCode::NOT_FOUND));
    };
    let target = &found.route.target;
    let path_info = HeaderValue::from_str(&found.path_info).ok();
    let named: Vec<_> = found
        .named
        .iter()
        .filter_map(|(name, value)| spin_headers::named_header(name, value))
        .collect();
    spin_headers::complete_uri(&mut parts, scheme.clone())?;
    let headers = &target.headers;
    let appended = spin_headers::append(&mut parts, headers, path_info, named.into_iter(), client);
    if let Err(refusal) = appended {
        notice_of(&target.component, &format!("500: {refusal}"));
        return Ok(internal_error());
    }
    parts.headers = reveal_all(parts.headers);
    let origin = RequestOrigin::default();
    let request = Request::from_parts(parts, request_body(incoming));
    match target.handler.handle(origin.clone(), request).await {
        Ok(response) => {
            let response = response.map(|body| GuardedBody::new(body, origin.fate()));
            Ok(Offer::answer(offer, &application.joins, response))
        }
        Err(error) => {
            notice_of(&target.component, &format!("500: {error:#}"));
            Ok(internal_error())
        }
    }
}

fn request_body(incoming: Incoming) -> WasiBody {
    if incoming.is_end_stream() {
        Empty::<Bytes>::new().map_err(Error::from).boxed_unsync()
    } else {
        WireBody::new(incoming).boxed_unsync()
    }
}

fn answer_well_known(application: &Application, name: &str) -> Response<GuardedBody> {
    match name {
        "health" => full(StatusCode::OK, Bytes::from_static(b"OK")),
        "info" => {
            let mut response = full(StatusCode::OK, application.info.clone());
            response.headers_mut().insert(
                http::header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            response
        }
        _ => empty(StatusCode::NOT_FOUND),
    }
}

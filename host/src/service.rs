//! Answering one request: the way to its component and back.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::ACCEPT;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::answer::{OVERLOADED, TOO_SLOW, empty, full, internal_error};
use crate::application::{Application, WELL_KNOWN_PREFIX};
use crate::body::{GuardedBody, WireBody};
use crate::capacity::UploadPace;
use crate::dispatch::{DispatchError, dispatch};
use crate::instance::RequestOrigin;
use crate::log_lines::notice_of;
use crate::outbound::reveal_all;
use crate::request_body::{BodyFate, GivenUp, RequestBody};
use crate::spin_headers::{self, Refusal};
use crate::upgrade::Offer;

/// Why a request with a body is refused before the body is read.
const OVER_BUDGET: &str = "instances hold more memory than they should (--memory-budget), so no body above 64 KiB is read";

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
    let overloaded = |headers: &HeaderMap, why: &str| {
        application.notices.overloaded(&target.component, why);
        target.error_form.answer(&OVERLOADED, headers)
    };
    let body_fate = BodyFate::default();
    let body = request_body(application, incoming, client.ip(), body_fate.clone());
    let Some(body) = body else {
        return Ok(overloaded(&parts.headers, OVER_BUDGET));
    };
    // Only its form of an error is asked for afterwards.
    let asked: HeaderMap = parts
        .headers
        .get(ACCEPT)
        .map(|accept| (ACCEPT, accept.clone()))
        .into_iter()
        .collect();
    parts.headers = reveal_all(parts.headers);
    let origin = RequestOrigin::default();
    let request = Request::from_parts(parts, body);
    match dispatch(&target.handler, &origin, request).await {
        // Whatever the component made of it: it cannot tell a client that stopped from an upstream that did.
        Ok(response) if body_fate.given_up().is_some() && !response.status().is_success() => {
            match body_fate.given_up() {
                Some(GivenUp::OverBudget) => Ok(overloaded(&asked, OVER_BUDGET)),
                _ => Ok(target.error_form.answer(&TOO_SLOW, &asked)),
            }
        }
        Ok(response) => {
            let fate = origin.fate().filter(|_| !application.harsh);
            let response = response.map(|body| GuardedBody::new(body, fate));
            Ok(Offer::answer(offer, &application.joins, response))
        }
        Err(error @ DispatchError::Overloaded) => Ok(overloaded(&asked, &error.to_string())),
        Err(DispatchError::Failed(error)) => {
            notice_of(&target.component, &format!("500: {error:#}"));
            Ok(internal_error())
        }
    }
}

/// The body as the component gets it; `None` where there is no memory for it.
fn request_body(
    application: &Application,
    incoming: Incoming,
    client: IpAddr,
    fate: BodyFate,
) -> Option<WasiBody> {
    if incoming.is_end_stream() {
        return Some(Empty::<Bytes>::new().map_err(Error::from).boxed_unsync());
    }
    let length = incoming.size_hint().exact();
    let budget = &application.pool.memory;
    if !budget.admits(length) {
        return None;
    }
    let budget = length.is_none().then(|| Arc::clone(budget));
    let pace = application
        .upload_rate
        .filter(|_| !application.clients.trusts(client))
        .map(UploadPace::new);
    let wire = WireBody::new(incoming, application.harsh);
    Some(RequestBody::new(wire, budget, pace, fate).boxed_unsync())
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

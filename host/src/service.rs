//! Answering one request: the way to its component and back.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::answer::{OVERLOADED, TOO_SLOW, empty, full, internal_error, wants_page};
use crate::application::{Application, WELL_KNOWN_PREFIX};
use crate::body::{GuardedBody, WireBody};
use crate::capacity::{Place, UploadPace};
use crate::dispatch::{DispatchError, dispatch};
use crate::instance::RequestOrigin;
use crate::log_lines::warn_of;
use crate::outbound::reveal_all;
use crate::request_body::{BodyFate, GivenUp, RequestBody};
use crate::spin_headers::{self, Refusal};
use crate::upgrade::Offer;

/// Why a request with a body is refused before the body is read.
const OVER_BUDGET: &str = "instances hold more memory than they should (--memory-budget), so no body above 64 KiB is read";

/// Answers a client's request. `place` is the connection's, which a WebSocket keeps.
///
/// # Errors
/// When the connection has to be closed without an answer.
pub async fn answer(
    application: &Application,
    request: Request<Incoming>,
    scheme: &Scheme,
    client: SocketAddr,
    place: &Arc<Place>,
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
        warn_of(&target.component, &format!("500: {refusal}"));
        return Ok(internal_error());
    }
    let wants_page = wants_page(&parts.headers);
    let overloaded = |why: &str| {
        application.base.notices.overloaded(&target.component, why);
        target.error_form.answer(&OVERLOADED, wants_page)
    };
    let Some((body, body_fate)) = request_body(application, incoming, client.ip()) else {
        return Ok(overloaded(OVER_BUDGET));
    };
    parts.headers = reveal_all(parts.headers);
    let origin = RequestOrigin::default();
    let request = Request::from_parts(parts, body);
    let response = match dispatch(&target.handler, &origin, request).await {
        Ok(response) => response,
        Err(error @ DispatchError::Overloaded) => return Ok(overloaded(&error.to_string())),
        Err(DispatchError::Failed(error)) => {
            warn_of(&target.component, &format!("500: {error:#}"));
            return Ok(internal_error());
        }
    };
    // Whatever the component made of a body that broke off: it cannot tell a client that stopped from an upstream that
    // did.
    let given_up = body_fate.as_ref().and_then(BodyFate::given_up);
    match given_up.filter(|_| !response.status().is_success()) {
        Some(GivenUp::OverBudget) => return Ok(overloaded(OVER_BUDGET)),
        Some(GivenUp::TooSlow) => return Ok(target.error_form.answer(&TOO_SLOW, wants_page)),
        None => {}
    }
    let fate = origin.fate().filter(|_| !application.base.harsh);
    let response = response.map(|body| GuardedBody::new(body, fate));
    Ok(Offer::answer(
        offer,
        &application.base.joins,
        response,
        place,
    ))
}

/// The body as the component gets it, and what becomes of it if there is one; `None` where there is no memory for it.
fn request_body(
    application: &Application,
    incoming: Incoming,
    client: IpAddr,
) -> Option<(WasiBody, Option<BodyFate>)> {
    if incoming.is_end_stream() {
        let none = Empty::<Bytes>::new().map_err(Error::from).boxed_unsync();
        return Some((none, None));
    }
    let length = incoming.size_hint().exact();
    let budget = &application.base.pool.memory;
    if !budget.admits(length) {
        return None;
    }
    let pace = application
        .base
        .upload_rate
        .filter(|_| !application.base.clients.trusts(client))
        .map(UploadPace::new);
    let wire = WireBody::new(incoming, application.base.harsh);
    let fate = BodyFate::default();
    let body = RequestBody::new(
        wire,
        Arc::clone(budget),
        length.is_some(),
        pace,
        fate.clone(),
    );
    Some((body.boxed_unsync(), Some(fate)))
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

//! Requests that components send: `wasi:http/client`.

mod allowed;
mod clients;
mod connect;
mod framing;
mod header_rules;
mod upstream_body;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderName};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, Uri};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper_util::client::legacy;
use tokio::time::timeout;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

pub use allowed::{AllowedDestinations, Destination};
pub use clients::HttpClients;
use connect::CONNECT_TIMEOUT;
pub(crate) use connect::Connector;
use header_rules::HeaderRules;
pub use header_rules::reveal_all;
use upstream_body::UpstreamBody;

use crate::body::{GuardedBody, InstanceFate, WireBody};
use crate::component::Component;
use crate::spin_headers::chained_component;

/// What each timeout is unless the component sets it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// A host that stands for the application itself, where a request needs one.
const OWN_HOST: &str = "self.alt";

/// Sends what one instance sends, and decides which headers it may see and set.
pub struct OutboundHttp {
    component: Arc<Component>,
    fate: Arc<InstanceFate>,
    header_rules: HeaderRules,
}

type SendResult = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl OutboundHttp {
    /// Sends on behalf of an instance.
    pub fn new(component: Arc<Component>, fate: Arc<InstanceFate>) -> Self {
        Self {
            component,
            fate,
            header_rules: HeaderRules::default(),
        }
    }

    /// The component on whose behalf it sends.
    pub fn component(&self) -> &Arc<Component> {
        &self.component
    }
}

impl WasiHttpHooks for OutboundHttp {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        self.header_rules.forbids(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        header_rules::filter()
    }

    fn set_host_header(&mut self) -> bool {
        // hyper's client sets it from the address.
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = SendResult> + Send> {
        let component = Arc::clone(&self.component);
        let fate = Arc::clone(&self.fate);
        Box::new(async move {
            let response = send(&component, fate, request, options.unwrap_or_default()).await?;
            // How the body goes is told by the body; nothing else is left to be driven.
            let driven = Box::new(std::future::ready(Ok(())));
            Ok((response, driven as Box<dyn Future<Output = _> + Send>))
        })
    }

    fn p3_error_from_hyper(&mut self, _: &hyper::Error) -> ErrorCode {
        ErrorCode::HttpProtocolError
    }
}

async fn send(
    component: &Arc<Component>,
    fate: Arc<InstanceFate>,
    mut request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let own = request
        .uri()
        .host()
        .is_none_or(|host| host.is_empty() || host == OWN_HOST);
    if own {
        if !component.allowed.allow_own() {
            return Err(refuse(component, "http://self"));
        }
        *request.uri_mut() = own_uri(component, request.uri())?;
    } else {
        let destination = Destination::of_uri(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
        if !component.allowed.allow(&destination) {
            return Err(refuse(component, &destination.to_string()));
        }
    }
    request.headers_mut().remove(HOST);
    let asked = component.joins.ask(component, &mut request);
    let first_byte = options.first_byte_timeout.unwrap_or(DEFAULT_TIMEOUT);
    if let Some(id) = request.uri().host().and_then(chained_component) {
        let id = id.to_owned();
        let response = timeout(first_byte, component.peers()?.send(&id, request))
            .await
            .map_err(|_| Error::ConnectionReadTimeout)??;
        return Ok(response.map(GuardedBody::boxed_unsync));
    }
    let fate = (!component.harsh).then_some(fate);
    let request = request.map(|body| GuardedBody::new(body, fate));
    let Some(upstream) = request.uri().authority().cloned() else {
        return Err(Error::HttpRequestUriInvalid);
    };
    let client = match &asked {
        Some(_) => component.http.for_upgrade(),
        None => component.http.of(&upstream),
    };
    let sending = CONNECT_TIMEOUT.scope(
        options.connect_timeout.unwrap_or(DEFAULT_TIMEOUT),
        client.request(request),
    );
    let Ok(sent) = timeout(first_byte, sending).await else {
        component.http.renew(&upstream);
        return Err(Error::ConnectionReadTimeout);
    };
    let mut response = sent.map_err(|error| {
        cause(&error).unwrap_or_else(|| {
            component.tell_broken(&upstream, &error);
            Error::HttpProtocolError
        })
    })?;
    let ends_after = framing::repair(response.headers_mut())?;
    if component.harsh {
        let headers = std::mem::take(response.headers_mut());
        *response.headers_mut() = reveal_all(headers);
    }
    let between_bytes = options.between_bytes_timeout.unwrap_or(DEFAULT_TIMEOUT);
    let response = match component.joins.keep(asked, between_bytes, response) {
        Ok(joinable) => return Ok(joinable.map(BodyExt::boxed_unsync)),
        Err(response) => response,
    };
    let component = Arc::clone(component);
    Ok(response.map(move |incoming| {
        // An answer to HEAD names a length and has no body.
        let ends_after = ends_after.filter(|_| !incoming.is_end_stream());
        let wire = WireBody::new(incoming, component.harsh);
        let explained = move |error| {
            if let Error::Hyper(error) = &error {
                component.tell_broken(&upstream, error);
            }
            error
        };
        UpstreamBody::new(wire, ends_after, between_bytes)
            .map_err(explained)
            .boxed_unsync()
    }))
}

fn refuse(component: &Component, destination: &str) -> Error {
    component.tell_refused(destination);
    Error::HttpRequestDenied
}

/// The application's own address for a request without a host.
fn own_uri(component: &Component, uri: &Uri) -> Result<Uri, Error> {
    let (scheme, address) = component
        .peers()?
        .origin()
        .ok_or(Error::HttpRequestUriInvalid)?;
    Uri::builder()
        .scheme(scheme.clone())
        .authority(
            Authority::try_from(address.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?,
        )
        .path_and_query(uri.path_and_query().map_or("/", PathAndQuery::as_str))
        .build()
        .map_err(|_| Error::HttpRequestUriInvalid)
}

/// What a component is told of a failed exchange: the connector's or the body's own error, where there is one.
fn cause(error: &legacy::Error) -> Option<Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<Error>() {
            return copy(error);
        }
        source = error.source();
    }
    None
}

/// The error type cannot be cloned; these are the errors that connector and bodies give.
fn copy(error: &Error) -> Option<Error> {
    Some(match error {
        Error::DnsError { rcode, info_code } => Error::DnsError {
            rcode: rcode.clone(),
            info_code: *info_code,
        },
        Error::ConnectionRefused => Error::ConnectionRefused,
        Error::ConnectionTimeout => Error::ConnectionTimeout,
        Error::ConnectionLimitReached => Error::ConnectionLimitReached,
        Error::TlsProtocolError => Error::TlsProtocolError,
        Error::TlsCertificateError => Error::TlsCertificateError,
        Error::HttpRequestUriInvalid => Error::HttpRequestUriInvalid,
        Error::HttpRequestBodySize(size) => Error::HttpRequestBodySize(*size),
        _ => return None,
    })
}

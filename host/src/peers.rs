//! The components of an application among each other: `http://<id>.spin.internal` reaches them
//! without leaving the process.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{OnceLock, PoisonError, RwLock};

use http::uri::Scheme;
use wasmtime_wasi_http::handler::ProxyHandler;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::answer::{OVERLOADED, internal_error};
use crate::body::GuardedBody;
use crate::dispatch::{DispatchError, dispatch};
use crate::instance::{ComponentHandler, RequestOrigin};
use crate::log_lines::warn_of;
use crate::outbound::reveal_all;
use crate::spin_headers::{self, RouteHeaders};

/// What a chained request has as its client.
const CHAINED_CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// All components of the version that is in force.
#[derive(Default)]
pub struct Peers {
    handlers: RwLock<HashMap<String, ProxyHandler<ComponentHandler>>>,
    /// Where the application listens, for requests to itself.
    origin: OnceLock<(Scheme, SocketAddr)>,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").finish_non_exhaustive()
    }
}

impl Peers {
    /// Makes all components known, in the place of those of a former version.
    pub fn introduce(&self, handlers: HashMap<String, ProxyHandler<ComponentHandler>>) {
        let mut known = self
            .handlers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let former = std::mem::replace(&mut *known, handlers);
        drop(known);
        drop(former);
    }

    /// Makes the application's own address known. Only the first call counts.
    pub fn listen_on(&self, scheme: Scheme, address: SocketAddr) {
        let _ = self.origin.set((scheme, address));
    }

    /// Where the application listens.
    pub fn origin(&self) -> Option<(Scheme, SocketAddr)> {
        self.origin.get().cloned()
    }

    /// The handler of a component.
    pub fn handler(&self, id: &str) -> Option<ProxyHandler<ComponentHandler>> {
        let handlers = self.handlers.read().unwrap_or_else(PoisonError::into_inner);
        handlers.get(id).cloned()
    }

    /// Sends a request to another component.
    ///
    /// # Errors
    /// When there is no such component; its own failure is a 500, as it is for a client.
    pub async fn send(
        &self,
        id: &str,
        request: http::Request<WasiBody>,
    ) -> Result<http::Response<GuardedBody>, Error> {
        let handler = self.handler(id).ok_or(Error::DestinationNotFound)?;
        let (mut parts, body) = request.into_parts();
        spin_headers::strip_connection_headers(&mut parts.headers);
        let path_info = http::HeaderValue::from_str(parts.uri.path()).ok();
        spin_headers::complete_uri(&mut parts, Scheme::HTTP)
            .map_err(|_| Error::HttpRequestUriInvalid)?;
        let refused = spin_headers::append(
            &mut parts,
            &RouteHeaders::chained(),
            path_info,
            std::iter::empty(),
            CHAINED_CLIENT,
        );
        if let Err(error) = refused {
            warn_of(id, &format!("500: {error}"));
            return Ok(internal_error());
        }
        parts.headers = reveal_all(parts.headers);
        let origin = RequestOrigin::default();
        let request = http::Request::from_parts(parts, body);
        match dispatch(&handler, &origin, request).await {
            Ok(response) => Ok(response.map(|body| GuardedBody::new(body, origin.fate()))),
            Err(error @ DispatchError::Overloaded) => {
                warn_of(id, &format!("503: {error}"));
                let form = handler.state().component().error_form;
                Ok(form.answer(&OVERLOADED, false))
            }
            Err(error) => {
                warn_of(id, &format!("500: {error}"));
                Ok(internal_error())
            }
        }
    }
}

//! Opening connections to upstreams, plain and with TLS.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

use super::clients::KeptConnections;
use crate::log_lines::warn;
use crate::tls::in_words;

/// This process, or the machine, has as many files open as it may.
const NO_FILES: [i32; 2] = [
    rustix::io::Errno::MFILE.raw_os_error(),
    rustix::io::Errno::NFILE.raw_os_error(),
];

tokio::task_local! {
    /// How long a connection that a request has to wait for may take. The client pool has no other
    /// way to hand it to the connector.
    pub(super) static CONNECT_TIMEOUT: Duration;
}

/// Opens connections for hyper's client.
#[derive(Clone)]
pub struct Connector {
    /// Limits how many connections there are.
    permits: Option<Arc<Semaphore>>,
    /// What may be closed where there are as many as there may be.
    kept: Weak<KeptConnections>,
    nodelay: bool,
    tls: Arc<OnceLock<Result<TlsConnector, String>>>,
    /// What is offered by ALPN.
    protocols: &'static [&'static [u8]],
}

/// A connection to an upstream.
pub struct UpstreamConnection {
    stream: Stream,
    _permit: Option<OwnedSemaphorePermit>,
}

enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    /// At most `max_connections` at once, if given.
    pub fn new(max_connections: Option<usize>, nodelay: bool, kept: Weak<KeptConnections>) -> Self {
        Self {
            kept,
            nodelay,
            permits: max_connections.map(|limit| Arc::new(Semaphore::new(limit))),
            tls: Arc::new(OnceLock::new()),
            protocols: &[b"h2", b"http/1.1"],
        }
    }

    /// Opens connections over HTTP/1.1 alone, within the same limit.
    pub fn with_http1_only(&self) -> Self {
        Self {
            kept: Weak::clone(&self.kept),
            nodelay: self.nodelay,
            permits: self.permits.clone(),
            tls: Arc::new(OnceLock::new()),
            protocols: &[b"http/1.1"],
        }
    }

    /// Opens a connection. `limit` is for all of it: the name, TCP and TLS; and before that for as long a wait until
    /// one may be opened, which is nobody's fault that is called.
    async fn connect(self, uri: Uri, limit: Duration) -> Result<UpstreamConnection, Error> {
        let permit = match &self.permits {
            Some(permits) => Some(self.permit(permits, limit).await?),
            None => None,
        };
        let stream = timeout(limit, self.open(uri))
            .await
            .map_err(|_| Error::ConnectionTimeout)??;
        Ok(UpstreamConnection {
            stream,
            _permit: permit,
        })
    }

    async fn permit(
        &self,
        permits: &Arc<Semaphore>,
        limit: Duration,
    ) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = timeout(limit, Arc::clone(permits).acquire_owned());
        if let Some(kept) = self.kept.upgrade() {
            kept.close_idle();
        }
        let permit = waiting.await.ok().and_then(Result::ok);
        permit.ok_or(Error::ConnectionLimitReached)
    }

    async fn open(self, uri: Uri) -> Result<Stream, Error> {
        let uses_tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let host = uri.host().ok_or(Error::HttpRequestUriInvalid)?;
        // An IPv6 address stands in brackets in a URL, but not elsewhere.
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if uses_tls { 443 } else { 80 });
        let addresses: Vec<_> = tokio::net::lookup_host((host, port))
            .await
            .map_err(|_| match has_files() {
                true => name_error("address not available"),
                false => Error::ConnectionLimitReached,
            })?
            .collect();
        let tcp = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| match (error.kind(), error.raw_os_error()) {
                (io::ErrorKind::AddrNotAvailable, _) => name_error("address not available"),
                (_, Some(code)) if NO_FILES.contains(&code) => Error::ConnectionLimitReached,
                _ => Error::ConnectionRefused,
            })?;
        // Head and body of a request leave apart; waiting for the acknowledgement of the first would
        // cost 40 ms.
        let _ = tcp.set_nodelay(self.nodelay);
        Ok(if uses_tls {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| name_error("invalid dns name"))?;
            let tls = self
                .tls_connector()?
                .connect(name, tcp)
                .await
                .map_err(|error| tls_error(&uri, &error))?;
            Stream::Tls(Box::new(TokioIo::new(tls)))
        } else {
            Stream::Plain(TokioIo::new(tcp))
        })
    }

    /// Reads the system's roots when they are first needed.
    fn tls_connector(&self) -> Result<TlsConnector, Error> {
        self.tls
            .get_or_init(|| {
                let mut config = crate::tls::client_config()?;
                config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
                Ok(TlsConnector::from(Arc::new(config)))
            })
            .clone()
            .map_err(|message| {
                warn(&message);
                Error::TlsProtocolError
            })
    }
}

fn name_error(rcode: &str) -> Error {
    Error::DnsError {
        rcode: Some(rcode.to_owned()),
        info_code: Some(0),
    }
}

/// The resolver reads files and opens sockets, and says nothing of it where it cannot.
fn has_files() -> bool {
    match std::net::UdpSocket::bind(("127.0.0.1", 0)) {
        Ok(_) => true,
        Err(error) => !error
            .raw_os_error()
            .is_some_and(|code| NO_FILES.contains(&code)),
    }
}

/// What is wrong with a certificate no error code tells, and whoever runs the gateway has to know.
fn tls_error(uri: &Uri, error: &io::Error) -> Error {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let why = cause.map_or_else(|| error.to_string(), in_words);
    warn(&format!("https://{authority}: no TLS: {why}"));
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
        _ => Error::TlsProtocolError,
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = UpstreamConnection;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<UpstreamConnection, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = CONNECT_TIMEOUT.try_get().unwrap_or(super::DEFAULT_TIMEOUT);
        Box::pin(self.clone().connect(uri, limit))
    }
}

impl Connection for UpstreamConnection {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        match &self.stream {
            Stream::Tls(tls) if tls.inner().get_ref().1.alpn_protocol() == Some(b"h2") => {
                connected.negotiated_h2()
            }
            _ => connected,
        }
    }
}

impl Read for UpstreamConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl Write for UpstreamConnection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_one_of_the_hosts_own_connections_is_told_so() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let connector = Connector::new(Some(1), true, Weak::new());
        let connect = |limit| connector.clone().connect(uri.clone(), limit);
        let held = connect(Duration::from_secs(60)).await.unwrap();
        let refused = connect(Duration::from_millis(1)).await;
        assert!(matches!(refused, Err(Error::ConnectionLimitReached)));
        drop(held);
        assert!(connect(Duration::from_secs(60)).await.is_ok());
    }
}

//! Listening: connections over HTTP and HTTPS, and their orderly end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::uri::Scheme;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::application::Application;
use crate::instance::Population;
use crate::lingering::Lingering;
use crate::log_lines::notice;
use crate::send_timeout::SendTimeout;
use crate::service;

/// How long the end of an instance's work is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How to listen.
pub struct Listeners {
    /// The address for HTTP.
    pub http: SocketAddr,
    /// The address for HTTPS, and its certificate.
    pub https: Option<(SocketAddr, TlsAcceptor)>,
    /// How long a client may take to send a request's head, counted from the connection's beginning
    /// or the last answer's end; also for the TLS handshake.
    pub header_timeout: Duration,
    /// How long a client may take none of what is being sent to it.
    pub send_timeout: Duration,
}

/// A server at work.
pub struct Server {
    application: Arc<Application>,
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    /// Where it listens for HTTPS.
    pub https: Option<SocketAddr>,
    accepting: Vec<JoinHandle<()>>,
    /// Told to all connections; each drops its receiver when it ends.
    stop: watch::Sender<()>,
}

impl Server {
    /// Opens the listeners and begins to serve.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn start(
        application: Arc<Application>,
        listeners: Listeners,
    ) -> anyhow::Result<Self> {
        let stop = watch::Sender::new(());
        let connections = |scheme| Connections {
            application: Arc::clone(&application),
            scheme,
            header_timeout: listeners.header_timeout,
            send_timeout: listeners.send_timeout,
            stop: stop.subscribe(),
        };
        let (listener, http) = listen(listeners.http).await?;
        let mut accepting = Vec::new();
        let https = match listeners.https {
            None => None,
            Some((address, acceptor)) => {
                let (listener, address) = listen(address).await?;
                let encrypted = connections(Scheme::HTTPS);
                accepting.push(tokio::spawn(encrypted.accept_tls(listener, acceptor)));
                Some(address)
            }
        };
        accepting.push(tokio::spawn(connections(Scheme::HTTP).accept(listener)));
        application.peers.listen_on(Scheme::HTTP, http);
        Ok(Self {
            application,
            http,
            https,
            accepting,
            stop,
        })
    }

    /// Accepts no more connections, and lets what runs come to its end: answers being sent, and then
    /// the background work of instances. Says whether all of it did within `limit`.
    pub async fn drain(self, limit: Duration) -> bool {
        for task in &self.accepting {
            task.abort();
        }
        let population = Ending(Arc::clone(&self.application.population));
        let drained = async {
            self.stop.send_replace(());
            self.application.joins.stop();
            self.stop.closed().await;
            while population.0.busy() > 0 {
                sleep(POLL_INTERVAL).await;
            }
        };
        timeout(limit, drained).await.is_ok()
    }
}

/// Also when a drain is given up.
struct Ending(Arc<Population>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: free it, or choose another address with --listen or --tls-listen")
    })?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

struct Connections {
    application: Arc<Application>,
    scheme: Scheme,
    header_timeout: Duration,
    send_timeout: Duration,
    stop: watch::Receiver<()>,
}

impl Connections {
    async fn accept(self, listener: TcpListener) {
        let connections = Arc::new(self);
        loop {
            let (stream, client) = next(&listener).await;
            tokio::spawn(Arc::clone(&connections).serve(stream, client));
        }
    }

    async fn accept_tls(self, listener: TcpListener, acceptor: TlsAcceptor) {
        let connections = Arc::new(self);
        loop {
            let (stream, client) = next(&listener).await;
            let connections = Arc::clone(&connections);
            let acceptor = acceptor.clone();
            // In a task of its own: a client that says nothing must not keep others waiting.
            tokio::spawn(async move {
                let mut stop = connections.stop.clone();
                let shaken = tokio::select! {
                    shaken = timeout(connections.header_timeout, acceptor.accept(stream)) => shaken,
                    _ = stop.changed() => return,
                };
                if let Ok(Ok(stream)) = shaken {
                    connections.serve(stream, client).await;
                }
            });
        }
    }

    async fn serve(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        client: SocketAddr,
    ) {
        let mut stop = self.stop.clone();
        let service = service_fn(|request| {
            let this = Arc::clone(&self);
            async move { service::answer(&this.application, request, &this.scheme, client).await }
        });
        let stream = SendTimeout::new(stream, self.send_timeout);
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.header_timeout)
                .serve_connection(
                    TokioIo::new(Lingering::new(stream, self.stop.clone())),
                    service
                )
                // The connection is then the tunnel's, `Lingering` and with it this drain's knowledge of it included.
                .with_upgrades()
        );
        // How a connection broke is the client's affair.
        tokio::select! {
            biased;
            _ = connection.as_mut() => {}
            _ = stop.changed() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                // Head and first bytes of an answer leave apart; waiting for the acknowledgement of
                // the first would cost 40 ms.
                let _ = stream.set_nodelay(true);
                return (stream, client);
            }
            Err(error) => {
                // Mostly: no more file descriptors. Others get time to close theirs.
                notice(&format!("cannot accept a connection: {error}"));
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

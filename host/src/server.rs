//! Listening: connections over HTTP and HTTPS, and their orderly end.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::uri::Scheme;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::application::LiveApplication;
use crate::capacity::Place;
use crate::hand_over::{HandOver, Inherited};
use crate::instance::Population;
use crate::lingering::Lingering;
use crate::log_lines::warn;
use crate::reload::Certificate;
use crate::send_timeout::SendTimeout;
use crate::service;

/// How long a connection that was taken before the host was told to stop may still wait for its handshake, and for its
/// first request.
const FIRST_REQUEST: Duration = Duration::from_secs(2);

/// How many connections wait for `accept`: as many as tokio's own listeners let wait.
const BACKLOG: u32 = 1024;

/// How long the end of an instance's work is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How to listen.
pub struct Listeners {
    /// The address for HTTP.
    pub http: SocketAddr,
    /// The address for HTTPS, and its certificate.
    pub https: Option<(SocketAddr, Arc<Certificate>)>,
    /// How long a client may take to send a request's head, counted from the connection's beginning
    /// or the last answer's end; also for the TLS handshake.
    pub header_timeout: Duration,
    /// How long a client may take none of what is being sent to it.
    pub send_timeout: Duration,
    /// Where the listeners of the host that this one replaces are, and where those of this one will be.
    pub hand_over: Option<PathBuf>,
}

/// A server at work.
pub struct Server {
    application: Arc<LiveApplication>,
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    /// Where it listens for HTTPS.
    pub https: Option<SocketAddr>,
    accepting: Vec<JoinHandle<()>>,
    hand_over: Option<HandOver>,
    /// Told to all connections; each drops its receiver when it ends.
    stop: watch::Sender<()>,
}

impl Server {
    /// Opens the listeners and begins to serve.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn start(
        application: Arc<LiveApplication>,
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
        let mut inherited = match &listeners.hand_over {
            Some(file) => Inherited::ask(file)?,
            None => None,
        };
        let mut listen = |address| listen(address, &mut inherited);
        let http = listen(listeners.http)?;
        let https = match listeners.https {
            None => None,
            Some((address, certificate)) => Some((listen(address)?, certificate)),
        };
        let addresses = (
            http.local_addr()?,
            https.as_ref().map(|(it, _)| it.local_addr()).transpose()?,
        );
        let hand_over = match &listeners.hand_over {
            None => None,
            Some(file) => {
                let own = std::iter::once(&http).chain(https.as_ref().map(|(it, _)| it));
                let own = own.map(TcpListener::try_clone).collect::<Result<_, _>>()?;
                Some(HandOver::open(file, own)?)
            }
        };
        let mut accepting = Vec::new();
        if let Some((listener, certificate)) = https {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let encrypted = connections(Scheme::HTTPS);
            accepting.push(tokio::spawn(encrypted.accept_tls(listener, certificate)));
        }
        let listener = tokio::net::TcpListener::from_std(http)?;
        accepting.push(tokio::spawn(connections(Scheme::HTTP).accept(listener)));
        let (http, https) = addresses;
        application.base().peers.listen_on(Scheme::HTTP, http);
        if let Some(inherited) = inherited {
            inherited.serving();
        }
        Ok(Self {
            application,
            http,
            https,
            accepting,
            hand_over,
            stop,
        })
    }

    /// Ends when another host has taken the listeners over; never, where none can.
    pub async fn handed_over(&self) {
        match &self.hand_over {
            Some(hand_over) => hand_over.taken().await,
            None => std::future::pending().await,
        }
    }

    /// Accepts no more connections, and lets what runs come to its end: answers being sent, and then
    /// the background work of instances. Says whether all of it did within `limit`.
    pub async fn drain(mut self, limit: Duration) -> bool {
        // Its copies of the listeners would go on taking connections that nobody answers.
        drop(self.hand_over.take());
        for task in &self.accepting {
            task.abort();
        }
        let population = Ending(Arc::clone(&self.application.base().pool.population));
        let drained = async {
            self.stop.send_replace(());
            self.application.base().joins.stop();
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

/// Listens on an address, by the socket that another host has handed over where it did.
fn listen(address: SocketAddr, inherited: &mut Option<Inherited>) -> anyhow::Result<TcpListener> {
    let handed_over = inherited.as_mut().and_then(|it| it.take(address));
    let listener = match handed_over {
        Some(listener) => listener,
        // By tokio, which sets what a listener needs to be set.
        None => bind(address)?.into_std()?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bind(address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    let bound = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().with_context(|| {
        format!("cannot listen on {address}: free it, or choose another address with --listen or --tls-listen")
    })
}

struct Connections {
    application: Arc<LiveApplication>,
    scheme: Scheme,
    header_timeout: Duration,
    send_timeout: Duration,
    stop: watch::Receiver<()>,
}

impl Connections {
    async fn accept(self, listener: tokio::net::TcpListener) {
        let connections = Arc::new(self);
        loop {
            let (stream, client) = next(&listener, !connections.application.base().harsh).await;
            let Some(place) = connections.enter(client) else {
                continue;
            };
            tokio::spawn(Arc::clone(&connections).serve(stream, client, place));
        }
    }

    async fn accept_tls(self, listener: tokio::net::TcpListener, certificate: Arc<Certificate>) {
        let connections = Arc::new(self);
        loop {
            let (stream, client) = next(&listener, !connections.application.base().harsh).await;
            let Some(place) = connections.enter(client) else {
                continue;
            };
            let connections = Arc::clone(&connections);
            let acceptor = certificate.acceptor();
            // In a task of its own: a client that says nothing must not keep others waiting.
            tokio::spawn(async move {
                let mut stop = connections.stop.clone();
                let shaking = timeout(connections.header_timeout, acceptor.accept(stream));
                let mut shaking = pin!(shaking);
                let shaken = tokio::select! {
                    shaken = shaking.as_mut() => shaken,
                    _ = stop.changed() => timeout(FIRST_REQUEST, shaking).await.unwrap_or_else(Err),
                };
                if let Ok(Ok(stream)) = shaken {
                    connections.serve(stream, client, place).await;
                }
            });
        }
    }

    /// A place for a connection; without one it is closed at once, as every answer would cost what the limit saves.
    fn enter(&self, client: SocketAddr) -> Option<Place> {
        let clients = &self.application.base().clients;
        let place = clients.enter(client.ip());
        if place.is_none() {
            let limit = clients.limit().unwrap_or_default();
            self.application
                .base()
                .notices
                .too_many_connections(client.ip(), limit);
        }
        place
    }

    async fn serve(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        client: SocketAddr,
        place: Place,
    ) {
        let place = Arc::new(place);
        let mut stop = self.stop.clone();
        let asked = Notify::new();
        let service = service_fn(|request| {
            asked.notify_one();
            let this = Arc::clone(&self);
            let place = Arc::clone(&place);
            async move {
                let application = this.application.current();
                service::answer(&application, request, &this.scheme, client, &place).await
            }
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
                // One that was taken just before may have its first request: its client was not refused.
                tokio::select! {
                    biased;
                    _ = connection.as_mut() => return,
                    () = asked.notified() => {}
                    () = sleep(FIRST_REQUEST) => {}
                }
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

async fn next(listener: &tokio::net::TcpListener, nodelay: bool) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                // Head and first bytes of an answer leave apart; waiting for the acknowledgement of
                // the first would cost 40 ms.
                let _ = stream.set_nodelay(nodelay);
                return (stream, client);
            }
            Err(error) => {
                // Mostly: no more file descriptors. Others get time to close theirs.
                warn(&format!("cannot accept a connection: {error}"));
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

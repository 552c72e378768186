//! Connections to upstreams, kept for the next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use http::uri::Authority;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::Connector;
use crate::body::GuardedBody;

/// How many upstreams have a client at most.
const MAX_CLIENTS: usize = 1024;

/// hyper's client with its pool.
pub type HttpClient = Client<Connector, GuardedBody>;

/// The clients of all components.
pub struct HttpClients {
    kept: Arc<KeptConnections>,
    /// For WebSockets, which HTTP/1.1 alone can become, each with a connection of its own.
    upgrading: HttpClient,
}

/// A client for each upstream. Its connections can only be closed by letting it go, and whoever waits for one holds it:
/// so one client for all would keep the connections that a wait is for.
pub struct KeptConnections {
    connector: Connector,
    pooling: bool,
    clients: Mutex<HashMap<Authority, HttpClient>>,
}

impl std::fmt::Debug for HttpClients {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("HttpClients")
            .field("pooling", &self.kept.pooling)
            .finish_non_exhaustive()
    }
}

impl HttpClients {
    /// Keeps connections for the next request if `pooling`, and opens at most `max_connections`.
    pub fn new(pooling: bool, max_connections: Option<usize>, harsh: bool) -> Self {
        let kept = Arc::new_cyclic(|kept: &Weak<KeptConnections>| KeptConnections {
            connector: Connector::new(max_connections, !harsh, Weak::clone(kept)),
            pooling,
            clients: Mutex::default(),
        });
        Self {
            upgrading: build(&kept.connector.with_http1_only(), false),
            kept,
        }
    }

    /// The client that keeps an upstream's connections.
    pub fn of(&self, upstream: &Authority) -> HttpClient {
        let Ok(mut clients) = self.kept.clients.lock() else {
            return self.kept.build();
        };
        if let Some(client) = clients.get(upstream) {
            return client.clone();
        }
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        let client = self.kept.build();
        clients.insert(upstream.clone(), client.clone());
        client
    }

    /// The client for what becomes a WebSocket.
    pub fn for_upgrade(&self) -> HttpClient {
        self.upgrading.clone()
    }

    /// Lets all connections to an upstream go that did not answer in time: what else was kept for it may be as dead, and
    /// would cost one request each.
    pub fn renew(&self, upstream: &Authority) {
        if let Ok(mut clients) = self.kept.clients.lock() {
            clients.remove(upstream);
        }
    }
}

impl KeptConnections {
    /// Closes connections that nobody uses, so that others may be opened. Those in use go on, and are closed then.
    pub fn close_idle(&self) {
        if let Ok(mut clients) = self.clients.lock() {
            clients.clear();
        }
    }

    fn build(&self) -> HttpClient {
        build(&self.connector, self.pooling)
    }
}

fn build(connector: &Connector, pooling: bool) -> HttpClient {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new());
    if !pooling {
        builder.pool_max_idle_per_host(0);
    }
    builder.build(connector.clone())
}

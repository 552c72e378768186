//! Connections to upstreams, kept for the next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use http::uri::Authority;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::Connector;
use crate::body::GuardedBody;

/// How many upstreams have a client of their own at most.
const MAX_RENEWED: usize = 256;

/// hyper's client with its pool.
pub type HttpClient = Client<Connector, GuardedBody>;

/// The clients of all components.
pub struct HttpClients {
    kept: Arc<KeptConnections>,
    /// For WebSockets, which HTTP/1.1 alone can become, each with a connection of its own.
    upgrading: HttpClient,
}

/// Clients that keep connections. They can only be closed by letting a client go.
pub struct KeptConnections {
    connector: Connector,
    pooling: bool,
    clients: Mutex<Clients>,
}

struct Clients {
    client: HttpClient,
    /// In its place for upstreams that did not answer in time: what else was kept for them may be as dead, and would
    /// cost one request each.
    renewed: HashMap<Authority, HttpClient>,
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
        let kept = Arc::new_cyclic(|kept: &Weak<KeptConnections>| {
            let connector = Connector::new(max_connections, !harsh, Weak::clone(kept));
            KeptConnections {
                clients: Mutex::new(Clients {
                    client: build(&connector, pooling),
                    renewed: HashMap::new(),
                }),
                connector,
                pooling,
            }
        });
        Self {
            upgrading: build(&kept.connector.with_http1_only(), false),
            kept,
        }
    }

    /// The client that keeps an upstream's connections.
    pub fn of(&self, authority: Option<&Authority>) -> HttpClient {
        match self.kept.clients.lock() {
            Ok(clients) => authority
                .and_then(|authority| clients.renewed.get(authority))
                .unwrap_or(&clients.client)
                .clone(),
            Err(_) => self.kept.build(),
        }
    }

    /// The client for what becomes a WebSocket.
    pub fn for_upgrade(&self) -> HttpClient {
        self.upgrading.clone()
    }

    /// Lets all connections to an upstream go.
    pub fn renew(&self, authority: Authority) {
        if let Ok(mut clients) = self.kept.clients.lock() {
            if clients.renewed.len() >= MAX_RENEWED {
                clients.renewed.clear();
            }
            clients.renewed.insert(authority, self.kept.build());
        }
    }
}

impl KeptConnections {
    /// Closes connections that nobody uses, so that others may be opened. Those in use go on, and are closed then.
    pub fn close_idle(&self) {
        if !self.pooling {
            return;
        }
        if let Ok(mut clients) = self.clients.lock() {
            clients.client = self.build();
            clients.renewed.clear();
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

//! An address that takes no connection and refuses none.

use std::{net::SocketAddr, time::Duration};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::{ReservedPort, StandinError, port::bind};

/// On loopback a connection that is taken stands at once.
const STANDS_WITHIN: Duration = Duration::from_millis(200);
/// More connections than the shortest queue of any system holds.
const MAX_WAITING: usize = 64;

/// A port of 127.0.0.1 whose listener accepts nothing and whose queue is full: whoever connects waits for ever, as
/// behind a firewall that drops what it does not like.
#[derive(Debug)]
pub struct BlackHole {
    port: ReservedPort,
    _listener: TcpListener,
    /// Fill the queue.
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    /// Opens one.
    ///
    /// # Errors
    /// When no port can be listened on, or its queue has no end.
    pub async fn open() -> Result<Self, StandinError> {
        let port = ReservedPort::reserve()?;
        let socket: TcpSocket = bind(port.address())?;
        let listener = socket.listen(0)?;
        let mut waiting = Vec::new();
        while waiting.len() < MAX_WAITING {
            let connecting = TcpStream::connect(port.address());
            match tokio::time::timeout(STANDS_WITHIN, connecting).await {
                Ok(stream) => waiting.push(stream?),
                Err(_) => {
                    return Ok(Self {
                        port,
                        _listener: listener,
                        _waiting: waiting,
                    });
                }
            }
        }
        Err(StandinError::Waited {
            what: "a listener's queue to be full".to_owned(),
            patience: STANDS_WITHIN,
            seen: format!("{MAX_WAITING} connections"),
        })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.port.url()
    }
}

//! A loopback port that nobody else can take.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::StandinError;

/// A port of 127.0.0.1, held by a socket that is bound but does not listen: connections to it are refused, no
/// other process is given it, and whoever knows it can listen on it (with `SO_REUSEADDR`, as servers do).
#[derive(Debug)]
pub struct ReservedPort {
    _holder: TcpSocket,
    address: SocketAddr,
}

impl ReservedPort {
    /// Takes a free port.
    ///
    /// # Errors
    /// When the system has none.
    pub fn reserve() -> Result<Self, StandinError> {
        let holder = TcpSocket::new_v4()?;
        holder.set_reuseaddr(true)?;
        holder.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = holder.local_addr()?;
        Ok(Self {
            _holder: holder,
            address,
        })
    }

    /// The address, `127.0.0.1` with the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Listens on the port. Once the listener is dropped, connections are refused again.
    ///
    /// # Errors
    /// When somebody listens there already.
    pub fn listen(&self) -> Result<TcpListener, StandinError> {
        listen(self.address)
    }
}

/// Listens there.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, StandinError> {
    Ok(bind(address)?.listen(1024)?)
}

/// A socket that can listen there.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpSocket, StandinError> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

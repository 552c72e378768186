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
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        Ok(socket.listen(1024)?)
    }
}

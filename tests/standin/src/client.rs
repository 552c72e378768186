//! A client that sends exactly the bytes it is told to and sees every byte that comes back: pieces in the order
//! of their arrival, and whether the end was a proper one.

use std::{net::SocketAddr, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::StandinError;

mod incoming;
mod message;

pub use incoming::Incoming;
pub use message::{Body, End, Head, Request, Response};

/// How long any one step may take before it is called hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection. Requests follow each other on it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    authority: String,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody takes the connection.
    pub async fn open(address: SocketAddr) -> Result<Self, StandinError> {
        let stream = patiently("a connection", async {
            Ok(TcpStream::connect(address).await?)
        })
        .await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::new(),
            authority: address.to_string(),
        })
    }

    /// Sends a request and waits for the head of its answer. A peer may answer, and close, before it has taken all of a
    /// body: the answer counts.
    ///
    /// # Errors
    /// When the connection breaks, the peer sends no HTTP, or 60 s pass.
    pub async fn call(mut self, request: &Request) -> Result<Incoming, StandinError> {
        let sent = self.send(request).await;
        let answered = self.answer(&request.method).await;
        match sent {
            Err(error) if answered.is_err() => Err(error),
            _ => answered,
        }
    }

    /// Sends a request. `Host` is added when the request has none.
    ///
    /// # Errors
    /// When the connection breaks, or 60 s pass.
    pub async fn send(&mut self, request: &Request) -> Result<(), StandinError> {
        let (head, body) = request.encode(&self.authority);
        self.write(&head).await?;
        for part in body {
            self.write(&part).await?;
        }
        Ok(())
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// When the connection breaks, or 60 s pass.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StandinError> {
        patiently("the peer to take bytes", async {
            Ok(self.stream.write_all(bytes).await?)
        })
        .await
    }

    /// Tells the peer that nothing more will be sent (FIN), while its bytes are still taken.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn end_writing(&mut self) -> Result<(), StandinError> {
        Ok(self.stream.shutdown().await?)
    }

    /// Waits for the head of an answer to a request with this method. Heads with 1xx are passed over.
    ///
    /// # Errors
    /// When the connection breaks, the peer sends no HTTP, or 60 s pass.
    pub async fn answer(mut self, method: &str) -> Result<Incoming, StandinError> {
        let mut head = self.head().await?;
        while head.status < 200 {
            head = self.head().await?;
        }
        Ok(Incoming::new(self, head, method))
    }

    /// Reads whatever comes until the peer closes, without taking it for HTTP.
    ///
    /// # Errors
    /// When 60 s pass. A reset counts as a close.
    pub async fn drain(mut self) -> Result<Bytes, StandinError> {
        let buffer = &mut self.buffer;
        let stream = &mut self.stream;
        patiently("the peer to close", async {
            while matches!(stream.read_buf(buffer).await, Ok(1..)) {}
            Ok(())
        })
        .await?;
        Ok(self.buffer.split().freeze())
    }

    /// Waits for one head, of an interim answer (1xx) or of a final one, and gives its status.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub async fn interim(&mut self) -> Result<u16, StandinError> {
        Ok(self.head().await?.status)
    }

    async fn head(&mut self) -> Result<Head, StandinError> {
        loop {
            if let Some((head, length)) = Head::parse(&self.buffer)? {
                self.buffer.advance(length);
                return Ok(head);
            }
            let received = self.read("the head of an answer").await;
            if !matches!(received, Ok(1..)) {
                if let Err(waited @ StandinError::Waited { .. }) = received {
                    return Err(waited);
                }
                let received = String::from_utf8_lossy(&self.buffer).into_owned();
                return Err(StandinError::NoHead { received });
            }
        }
    }

    /// Reads some bytes into the buffer and tells how many; none means that the peer has closed.
    async fn read(&mut self, what: &str) -> Result<usize, StandinError> {
        self.buffer.reserve(64 * 1024);
        let (stream, buffer) = (&mut self.stream, &mut self.buffer);
        patiently(what, async { Ok(stream.read_buf(buffer).await?) }).await
    }
}

async fn patiently<T>(
    what: &str,
    step: impl Future<Output = Result<T, StandinError>>,
) -> Result<T, StandinError> {
    tokio::time::timeout(PATIENCE, step)
        .await
        .unwrap_or_else(|_| {
            Err(StandinError::Waited {
                what: what.to_owned(),
                patience: PATIENCE,
                seen: "nothing".to_owned(),
            })
        })
}

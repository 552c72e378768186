//! A way to a server that takes time, as to another region.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use spillway_standin::ReservedPort;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
};

/// Passes connections on to a server, and every piece that the server sends back so much later. Pieces overtake
/// nothing, and any number of them may be on their way. Gone when dropped.
#[derive(Debug)]
pub struct Distant {
    port: ReservedPort,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicU64,
    answers: AtomicU64,
}

impl Distant {
    /// To the server at this address, whose answers take `delay`.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub fn start(server: SocketAddr, delay: Duration) -> Result<Self> {
        let port = ReservedPort::reserve()?;
        let (listener, seen) = (port.listen()?, Arc::new(Seen::default()));
        let watched = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                watched.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(join(near, server, delay, Arc::clone(&watched)));
            }
        });
        Ok(Self {
            port,
            seen,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// How many connections it has passed on so far.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// How many pieces the server has sent back so far: of calls one after the other, how many round trips.
    pub fn answers(&self) -> u64 {
        self.seen.answers.load(Ordering::Relaxed)
    }
}

impl Drop for Distant {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn join(near: TcpStream, server: SocketAddr, delay: Duration, seen: Arc<Seen>) -> Result<()> {
    let far = TcpStream::connect(server).await?;
    far.set_nodelay(true)?;
    near.set_nodelay(true)?;
    let (mut from_near, to_near) = near.into_split();
    let (from_far, mut to_far) = far.into_split();
    let there = async move {
        tokio::io::copy(&mut from_near, &mut to_far).await?;
        to_far.shutdown().await
    };
    let (_, back) = tokio::join!(there, late(from_far, to_near, delay, seen));
    back
}

async fn late(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    seen: Arc<Seen>,
) -> Result<()> {
    let (sender, mut pieces) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        loop {
            let mut piece = Vec::with_capacity(16 * 1024);
            if from.read_buf(&mut piece).await? == 0 {
                return anyhow::Ok(());
            }
            seen.answers.fetch_add(1, Ordering::Relaxed);
            let now = Instant::now();
            let due = now.checked_add(delay).unwrap_or(now);
            // Nobody takes them any more once the client has left.
            let _ = sender.send((due, piece));
        }
    };
    let writing = async move {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            to.write_all(&piece).await?;
        }
        anyhow::Ok(to.shutdown().await?)
    };
    let (read, written) = tokio::join!(reading, writing);
    read.and(written)
}

//! The two directions of a tunnel.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::sync::Notify;

use super::frames::Frames;
use super::pace::Pace;
use super::tunnel::{End, Traffic};

/// Read at once, and so the most that is on its way in one direction.
const PIECE_BYTES: usize = 16 * 1024;

/// A close frame with status 1001, "going away" (RFC 6455 §7.4.1).
pub const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

/// How the two come apart.
#[derive(Debug, Default)]
pub struct Parting {
    /// Why: what came first.
    end: OnceLock<End>,
    is_told: AtomicBool,
    news: Notify,
}

impl Parting {
    /// They come apart, unless they do already. Said before a side is closed, as the other one may see that and close
    /// before it is done.
    pub fn begin(&self, end: End) {
        // What came first stands.
        let _ = self.end.set(end);
    }

    /// They come apart, and the client is to be told.
    pub fn tell(&self, end: End) {
        self.begin(end);
        self.is_told.store(true, Ordering::Relaxed);
        self.news.notify_one();
    }

    /// Why they have come apart.
    pub fn end(&self) -> End {
        self.end.get().copied().unwrap_or(End::Client)
    }

    fn is_told(&self) -> bool {
        self.is_told.load(Ordering::Relaxed)
    }
}

/// To the service, until the client ends, or the service takes no more.
pub async fn pass_up<C, S>(
    mut from: ReadHalf<C>,
    mut to: WriteHalf<S>,
    traffic: &Traffic,
    parting: &Parting,
) where
    C: AsyncRead,
    S: AsyncWrite,
{
    let mut buffer = vec![0; PIECE_BYTES];
    let end = loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break End::Client,
            Ok(read) => {
                let piece = buffer.get(..read).unwrap_or_default();
                if pass(piece, &mut to, &traffic.to_service, &traffic.pace)
                    .await
                    .is_err()
                {
                    break End::Service;
                }
            }
        }
    };
    parting.begin(end);
    let _ = to.shutdown().await;
}

/// To the client, until the service ends, or the client takes no more.
pub async fn pass_down<S, C>(
    mut from: ReadHalf<S>,
    mut to: WriteHalf<C>,
    traffic: &Traffic,
    parting: &Parting,
) where
    S: AsyncRead,
    C: AsyncWrite,
{
    let mut buffer = vec![0; PIECE_BYTES];
    let mut frames = Frames::default();
    let mut said_goodbye = false;
    let end = loop {
        if parting.is_told() && !said_goodbye && frames.is_between() {
            said_goodbye = true;
            if pass(&GOING_AWAY, &mut to, &traffic.to_client, &traffic.pace)
                .await
                .is_err()
            {
                break End::Client;
            }
        }
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            () = parting.news.notified() => continue,
        };
        match read {
            Ok(0) | Err(_) => break End::Service,
            // Nothing may follow a close frame.
            Ok(_) if said_goodbye => {}
            Ok(read) => {
                let piece = buffer.get(..read).unwrap_or_default();
                frames.advance(piece);
                if pass(piece, &mut to, &traffic.to_client, &traffic.pace)
                    .await
                    .is_err()
                {
                    break End::Client;
                }
            }
        }
    };
    parting.begin(end);
    let _ = to.shutdown().await;
}

async fn pass<W: AsyncWrite>(
    piece: &[u8],
    to: &mut WriteHalf<W>,
    count: &AtomicU64,
    pace: &Pace,
) -> io::Result<()> {
    pace.stir();
    to.write_all(piece).await?;
    to.flush().await?;
    pace.stir();
    count.fetch_add(
        u64::try_from(piece.len()).unwrap_or(u64::MAX),
        Ordering::Relaxed,
    );
    Ok(())
}

//! Two connections joined, byte for byte, until one of them ends.
//!
//! Nothing is read before what was read last has been written, so whoever reads slowly slows the other down. A
//! WebSocket that has to end although neither side wants it to is told so by a close frame of the host's own, between
//! two frames of the service's; the client's answer goes on to the service, which closes. So both see an orderly end.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::time::{sleep, timeout};

use super::pace::Pace;
use super::passing::{Parting, pass_down, pass_up};

/// How long the rest may take once one side has ended, or has been told to.
const PARTING: Duration = Duration::from_secs(5);

/// How long two connections may stay joined.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// While nothing goes over, in either direction.
    pub idle: Duration,
    /// In all.
    pub max_duration: Duration,
}

/// Why they came apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client closed its connection, or broke it.
    Client,
    /// The service did.
    Service,
    /// Nothing went over for too long.
    Idle,
    /// They were joined for as long as they may be.
    MaxDuration,
    /// The host is stopping.
    Stopping,
}

impl End {
    /// Whether it is one that both sides expect.
    pub fn is_in_order(self) -> bool {
        self != Self::Idle
    }
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Client => "client",
            Self::Service => "service",
            Self::Idle => "idle",
            Self::MaxDuration => "longest",
            Self::Stopping => "stopping",
        })
    }
}

/// What has gone over.
#[derive(Debug)]
pub struct Traffic {
    /// When.
    pub pace: Pace,
    /// Bytes to the service.
    pub to_service: AtomicU64,
    /// Bytes to the client.
    pub to_client: AtomicU64,
}

impl Traffic {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            pace: Pace::new(),
            to_service: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
        }
    }
}

/// Joins them until one ends, or a limit or `stopping` ends both. Both are closed then.
pub async fn join<C, S>(
    client: C,
    service: S,
    limits: Limits,
    traffic: &Traffic,
    stopping: impl Future<Output = ()>,
) -> End
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = split(client);
    let (from_service, to_service) = split(service);
    let parting = Parting::default();
    let mut up = pin!(pass_up(from_client, to_service, traffic, &parting));
    let mut down = pin!(pass_down(from_service, to_client, traffic, &parting));
    let received = tokio::select! {
        () = &mut up => {
            let _ = timeout(PARTING, down).await;
            return parting.end();
        }
        () = &mut down => {
            let _ = timeout(PARTING, up).await;
            return parting.end();
        }
        () = traffic.pace.quiet(limits.idle) => {
            parting.begin(End::Idle);
            return parting.end();
        }
        () = sleep(limits.max_duration) => End::MaxDuration,
        () = stopping => End::Stopping,
    };
    parting.tell(received);
    // The client answers the close frame, the service closes, and so both directions end.
    let _ = timeout(PARTING, async { tokio::join!(up, down) }).await;
    parting.end()
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};

    use super::*;
    use crate::upgrade::passing::GOING_AWAY;

    const LONG: Limits = Limits {
        idle: Duration::from_secs(60),
        max_duration: Duration::from_secs(60),
    };
    const SOON: Duration = Duration::from_millis(30);

    /// The far ends of the two connections, and what comes of joining the near ones.
    fn joined(
        limits: Limits,
        stopping: impl Future<Output = ()>,
    ) -> (DuplexStream, DuplexStream, impl Future<Output = End>) {
        let (client, near_client) = duplex(64);
        let (service, near_service) = duplex(64);
        let ended = async move {
            let traffic = Traffic::new();
            join(near_client, near_service, limits, &traffic, stopping).await
        };
        (client, service, ended)
    }

    async fn rest(stream: &mut DuplexStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn everything_goes_over_both_ways_and_an_end_ends_both() {
        let up: Vec<u8> = (0..100_000_u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        let down: Vec<u8> = up.iter().rev().copied().collect();
        let (client, mut service, ended) = joined(LONG, pending());
        let (mut client_reads, mut client_writes) = split(client);
        let talk = async {
            let (mut at_service, mut at_client) = (vec![0; up.len()], vec![0; down.len()]);
            let client_side = async {
                let (wrote, read) = tokio::join!(
                    client_writes.write_all(&up),
                    client_reads.read_exact(&mut at_client)
                );
                wrote.unwrap();
                read.unwrap();
            };
            let service_side = async {
                service.read_exact(&mut at_service).await.unwrap();
                service.write_all(&down).await.unwrap();
            };
            tokio::join!(client_side, service_side);
            assert!(at_service == up && at_client == down);
            client_writes.shutdown().await.unwrap();
            assert!(rest(&mut service).await.is_empty());
            drop(service);
            let mut more = Vec::new();
            client_reads.read_to_end(&mut more).await.unwrap();
            assert!(more.is_empty());
        };
        let (end, ()) = tokio::join!(ended, talk);
        assert_eq!(end, End::Client);
    }

    #[tokio::test]
    async fn a_service_that_closes_closes_the_client() {
        let (mut client, mut service, ended) = joined(LONG, pending());
        let talk = async {
            service.write_all(b"\x81\x02hi").await.unwrap();
            drop(service);
            assert_eq!(rest(&mut client).await, b"\x81\x02hi");
            drop(client);
        };
        let (end, ()) = tokio::join!(ended, talk);
        assert_eq!(end, End::Service);
    }

    /// A stream that is shut down when its far end is closed, as `Lingering` makes it.
    struct Slow(DuplexStream);

    impl AsyncRead for Slow {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            ready!(Pin::new(&mut self.0).poll_shutdown(context))?;
            let mut space = [0; 8];
            Pin::new(&mut self.0).poll_read(context, &mut ReadBuf::new(&mut space))
        }
    }

    #[tokio::test]
    async fn a_client_that_closes_because_the_service_did_is_not_the_first() {
        // Which of the two directions is looked at first is left to chance.
        for _ in 0..20 {
            let (mut client, near_client) = duplex(64);
            let (service, near_service) = duplex(64);
            let traffic = Traffic::new();
            let ended = join(Slow(near_client), near_service, LONG, &traffic, pending());
            let talk = async {
                drop(service);
                assert!(rest(&mut client).await.is_empty());
                drop(client);
            };
            let (end, ()) = tokio::join!(ended, talk);
            assert_eq!(end, End::Service);
        }
    }

    #[tokio::test]
    async fn who_reads_nothing_slows_the_other_down() {
        let (mut client, service, ended) = joined(LONG, pending());
        let talk = async {
            let written = timeout(SOON * 5, client.write_all(&[0; 100_000])).await;
            assert!(written.is_err(), "more is taken than a buffer holds");
            drop((client, service));
        };
        let (end, ()) = tokio::join!(ended, talk);
        assert!(end.is_in_order());
    }

    #[tokio::test]
    async fn silence_ends_it() {
        let limits = Limits { idle: SOON, ..LONG };
        let (mut client, mut service, ended) = joined(limits, pending());
        let (end, at_client, at_service) =
            tokio::join!(ended, rest(&mut client), rest(&mut service));
        assert_eq!(end, End::Idle);
        assert!(at_client.is_empty() && at_service.is_empty());
    }

    #[tokio::test]
    async fn a_client_is_told_of_the_end_between_two_frames() {
        let limits = Limits {
            max_duration: SOON,
            ..LONG
        };
        let (mut client, mut service, ended) = joined(limits, pending());
        let talk = async {
            // Half of a frame, and its rest once the time is over.
            service.write_all(b"\x81\x04ab").await.unwrap();
            sleep(SOON * 3).await;
            service.write_all(b"cd\x81\x01x").await.unwrap();
            let mut seen = [0; 11];
            client.read_exact(&mut seen[..10]).await.unwrap();
            assert_eq!(&seen[..6], b"\x81\x04abcd");
            // As a client answers, and then the service.
            client.write_all(b"\x88\x80mask").await.unwrap();
            let mut closing = [0; 6];
            service.read_exact(&mut closing).await.unwrap();
            assert_eq!(&closing, b"\x88\x80mask");
            service.write_all(b"\x88\x00").await.unwrap();
            drop(service);
            let after = rest(&mut client).await;
            drop(client);
            [&seen[6..10], &after].concat()
        };
        let (end, received) = tokio::join!(ended, talk);
        assert_eq!(end, End::MaxDuration);
        let expected = [&b"\x81\x01x"[..], &GOING_AWAY].concat();
        // The frame that came in one piece with the rest of the first goes before.
        assert_eq!(received, expected);
    }

    #[tokio::test]
    async fn a_host_that_stops_tells_the_client() {
        let (mut client, service, ended) = joined(LONG, sleep(SOON));
        let talk = async {
            let mut received = [0; 4];
            client.read_exact(&mut received).await.unwrap();
            assert_eq!(received, GOING_AWAY);
            drop((client, service));
        };
        let (end, ()) = tokio::join!(ended, talk);
        assert_eq!(end, End::Stopping);
    }
}

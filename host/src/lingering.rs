//! Closing a connection so that the client can read the last answer.
//!
//! Whoever answers before it has read the whole request (a body that is too large) and closes, resets the connection
//! as soon as more of the request comes in, and the client loses the answer. So what still comes is read and thrown
//! away for a while, as nginx does (`lingering_close`).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

/// Without a byte for so long the client is taken to have read the answer.
const QUIET: Duration = Duration::from_secs(2);
/// After this the connection is closed whatever comes.
const MAX_LINGERING: Duration = Duration::from_secs(30);

/// A stream that lingers when it is shut down, unless the host is ending.
pub struct Lingering<S> {
    stream: S,
    stop: watch::Receiver<()>,
    closing: Option<Closing>,
}

struct Closing {
    quiet: Pin<Box<Sleep>>,
    until: Instant,
}

impl<S> Lingering<S> {
    /// `stop` changes when the host is ending.
    pub fn new(stream: S, stop: watch::Receiver<()>) -> Self {
        Self {
            stream,
            stop,
            closing: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            let now = Instant::now();
            this.closing = Some(Closing {
                quiet: Box::pin(sleep_until(after(now, QUIET))),
                until: after(now, MAX_LINGERING),
            });
        }
        let Some(closing) = &mut this.closing else {
            return Poll::Ready(Ok(()));
        };
        let mut space = [0; 16 * 1024];
        loop {
            if this.stop.has_changed().unwrap_or(true) || Instant::now() >= closing.until {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut this.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    closing.quiet.as_mut().reset(after(Instant::now(), QUIET));
                }
                // The client has closed, too, or is gone.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return closing.quiet.as_mut().poll(context).map(Ok),
            }
        }
    }
}

fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or(now)
}

//! Waiting for a provider while the client is kept waiting.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use spillway_platform::{ClientLeft, Clock, OutgoingBody};
use spillway_sse::write_comment;
use spillway_telemetry::Reason;

use crate::Served;

/// Where a stream goes. Nothing is written before [`StreamOutput::open`].
pub trait StreamOutput: OutgoingBody {
    /// Sends the head: 200, an event stream, served by this one after so many attempts.
    fn open(&mut self, served: Served, attempts: usize, reason: Reason);
}

/// Why waiting ended before what was waited for.
pub(crate) enum Interrupt {
    Deadline,
    ClientLeft,
}

/// Waits for the provider while keeping the client waiting.
pub(crate) struct Waiter<'o, O, C> {
    out: &'o mut O,
    clock: &'o C,
    keep_alive: Duration,
    pub is_open: bool,
    last_write: Duration,
    timer: Pin<Box<dyn Future<Output = ()>>>,
    timer_at: Duration,
    /// The head to send, before the first content or the first comment.
    pub head: Option<(Served, usize, Reason)>,
}

impl<'o, O: StreamOutput, C: Clock> Waiter<'o, O, C> {
    pub fn new(out: &'o mut O, clock: &'o C, keep_alive: Duration) -> Self {
        let now = clock.now();
        Self {
            out,
            clock,
            keep_alive,
            is_open: false,
            last_write: now,
            timer: Box::pin(clock.sleep(keep_alive)),
            timer_at: now.saturating_add(keep_alive),
            head: None,
        }
    }

    /// Waits for `future` until `deadline`, sending a comment whenever `keep_alive` has passed in silence. One
    /// timer serves a whole stream: it is looked at when it fires, not set anew for every piece.
    pub async fn wait<F: Future>(
        &mut self,
        future: F,
        deadline: Option<Duration>,
    ) -> Result<F::Output, Interrupt> {
        let mut future = std::pin::pin!(future);
        if deadline.is_some_and(|deadline| deadline < self.timer_at) {
            self.set_timer(self.clock.now(), deadline);
        }
        loop {
            match select(future.as_mut(), self.timer.as_mut()).await {
                Either::Left((output, _)) => return Ok(output),
                Either::Right(((), _)) => {
                    let now = self.clock.now();
                    if deadline.is_some_and(|deadline| now >= deadline) {
                        self.set_timer(now, None);
                        return Err(Interrupt::Deadline);
                    }
                    if now.saturating_sub(self.last_write) >= self.keep_alive {
                        let mut comment = Vec::new();
                        write_comment(&mut comment, "keep-alive");
                        self.write(comment)
                            .await
                            .map_err(|ClientLeft| Interrupt::ClientLeft)?;
                    }
                    self.set_timer(now, deadline);
                }
            }
        }
    }

    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), ClientLeft> {
        if !self.is_open {
            self.is_open = true;
            if let Some((served, attempts, reason)) = self.head.take() {
                self.out.open(served, attempts, reason);
            }
        }
        self.out.write(bytes).await?;
        self.last_write = self.clock.now();
        Ok(())
    }

    fn set_timer(&mut self, now: Duration, deadline: Option<Duration>) {
        let silent_until = self.last_write.saturating_add(self.keep_alive);
        // At least a millisecond, so that rounding cannot make this loop spin.
        let at = deadline
            .map_or(silent_until, |deadline| deadline.min(silent_until))
            .max(now.saturating_add(Duration::from_millis(1)));
        self.timer = Box::pin(self.clock.sleep(at.saturating_sub(now)));
        self.timer_at = at;
    }
}

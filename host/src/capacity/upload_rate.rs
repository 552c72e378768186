//! A client that sends its request's body too slowly is given up.
//!
//! **Rule.** While the host waits for the client, the body must come at so many bytes a second on average, after a
//! grace of five seconds: Kestrel's `MinRequestBodyDataRate`, and its defaults. Time in which the service does not
//! read is not the client's.
//! **Guarantee.** A body of *n* bytes costs a slow client at most 5 s + *n* / rate, so nobody holds an instance's
//! place by sending a byte now and then.
//! **Cost.** A clock reading where the body has to be waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long a client may take without having sent enough.
const GRACE: Duration = Duration::from_secs(5);

/// The slowest pace, in bytes a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadRate(pub u64);

/// How one body comes.
#[derive(Debug)]
pub struct UploadPace {
    rate: UploadRate,
    received: u64,
    /// How long it was waited for in all, but for the wait that goes on.
    waited: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl UploadPace {
    /// Nothing has come yet.
    pub fn new(rate: UploadRate) -> Self {
        Self {
            rate,
            received: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            timer: None,
        }
    }

    /// So many more bytes have come.
    pub fn received(&mut self, bytes: usize) {
        self.received = self
            .received
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if let Some(since) = self.waiting_since.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
    }

    /// Whether the client has been waited for too long. Wakes the task when that comes about.
    pub fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let Some(deadline) = since.checked_add(self.allowance()) else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        // Left to fire where it is due earlier, and set anew then: cheaper than setting it with each piece.
        loop {
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }

    /// How much longer it may be waited for.
    fn allowance(&self) -> Duration {
        let milliseconds = self
            .received
            .saturating_mul(1_000)
            .checked_div(self.rate.0)
            .unwrap_or(u64::MAX);
        GRACE
            .saturating_add(Duration::from_millis(milliseconds))
            .saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::advance;

    use super::*;

    async fn gives_up_after(pace: &mut UploadPace) -> Duration {
        let began = Instant::now();
        poll_fn(|context| pace.poll_too_slow(context)).await;
        began.elapsed()
    }

    fn seconds(from: u64, to: u64) -> std::ops::Range<Duration> {
        Duration::from_secs(from)..Duration::from_secs(to)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_has_the_grace() {
        let took = gives_up_after(&mut UploadPace::new(UploadRate(240))).await;
        assert!(seconds(5, 6).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_buys_time() {
        let mut pace = UploadPace::new(UploadRate(240));
        pace.received(2_400);
        let took = gives_up_after(&mut pace).await;
        assert!(seconds(15, 16).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_does_not() {
        let mut pace = UploadPace::new(UploadRate(240));
        let began = Instant::now();
        loop {
            let given_up = poll_fn(|context| Poll::Ready(pace.poll_too_slow(context))).await;
            if given_up.is_ready() {
                break;
            }
            advance(Duration::from_secs(1)).await;
            pace.received(1);
        }
        let took = began.elapsed();
        assert!(seconds(5, 7).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_reads_slowly_is_not_the_clients_fault() {
        let mut pace = UploadPace::new(UploadRate(240));
        pace.received(1);
        advance(Duration::from_secs(600)).await;
        pace.received(1);
        let took = gives_up_after(&mut pace).await;
        assert!(seconds(5, 6).contains(&took), "{took:?}");
    }
}

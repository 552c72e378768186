//! A client that sends its request's body too slowly is given up.
//!
//! **Rule.** While the host waits for the client, the body must come at so many bytes a second on average (Kestrel's
//! `MinRequestBodyDataRate`, 240 by default), after a grace of ten seconds, and never be silent for a minute (nginx'
//! `client_body_timeout`). Time in which the service does not read is not the client's.
//! **Guarantee.** A body of *n* bytes is waited for at most 10 s + *n* / rate, and no silence is longer than a minute,
//! so nobody holds an instance's place by sending a byte now and then.
//! **Cost.** A clock reading where the body has to be waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long a client may take without having sent enough.
const GRACE: Duration = Duration::from_secs(10);

/// The longest silence, however much has come.
const MAX_SILENCE: Duration = Duration::from_secs(60);

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
            .min(MAX_SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much longer a client is waited for that has sent so many bytes in so many seconds.
    fn allowance(received: u64, waited: u64) -> Duration {
        UploadPace {
            received,
            waited: Duration::from_secs(waited),
            ..UploadPace::new(UploadRate(240))
        }
        .allowance()
    }

    #[test]
    fn what_has_come_buys_time_after_the_grace() {
        assert_eq!(allowance(0, 0), Duration::from_secs(10));
        assert_eq!(allowance(0, 9), Duration::from_secs(1));
        assert_eq!(allowance(2_400, 0), Duration::from_secs(20));
        assert_eq!(allowance(2_400, 20), Duration::ZERO);
        // A byte a second is far too slow.
        assert_eq!(allowance(11, 11), Duration::ZERO);
        // However much has come.
        assert_eq!(allowance(1 << 40, 600), Duration::from_secs(60));
    }

    #[test]
    fn time_in_which_nobody_reads_is_not_the_clients() {
        let mut pace = UploadPace::new(UploadRate(240));
        pace.received(1);
        assert_eq!(pace.waited, Duration::ZERO);
        assert!(pace.waiting_since.is_none());
    }

    #[tokio::test]
    async fn who_has_used_up_his_time_is_given_up() {
        let mut pace = UploadPace {
            waited: GRACE,
            ..UploadPace::new(UploadRate(240))
        };
        std::future::poll_fn(|context| pace.poll_too_slow(context)).await;
    }
}

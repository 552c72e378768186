//! When something last went over a connection, and how much of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Of two joined connections.
#[derive(Debug)]
pub struct Pace {
    begun: Instant,
    /// In milliseconds after `begun`.
    last: AtomicU64,
}

impl Pace {
    /// Beginning now.
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    /// Since when they have been joined.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Something went over.
    pub fn stir(&self) {
        let now = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Waits until nothing has gone over for so long. One timer, whatever goes over.
    pub async fn quiet(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let rest = last.saturating_add(limit).saturating_sub(self.elapsed());
            if rest.is_zero() {
                return;
            }
            sleep(rest).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn quiet_begins_anew_with_everything_that_goes_over() {
        let pace = Pace::new();
        let limit = Duration::from_millis(60);
        let stirring = async {
            for _ in 0..5 {
                sleep(Duration::from_millis(20)).await;
                pace.stir();
            }
        };
        tokio::join!(stirring, pace.quiet(limit));
        assert!(pace.elapsed() >= Duration::from_millis(155));
    }
}

//! How long an answer that is read along may take, and what its client is told when that is over.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use spillway_platform::{Clock, SendError};

/// Why an answer that has begun is not passed on to its end.
#[derive(Debug)]
pub(super) enum Cut {
    Failed(SendError),
    Idle(Duration),
    Ceiling,
}

impl Cut {
    /// Code, message and status of Dify's `error` event.
    pub fn error_event(&self) -> (&'static str, String, u16) {
        match self {
            Self::Failed(SendError::BetweenBytesTimeout) => (
                "gateway_timeout",
                "Dify sent nothing more for too long, so the gateway ended this stream. The run may still be going on.".to_owned(),
                504,
            ),
            Self::Failed(_) => (
                "bad_gateway",
                "The connection to Dify broke off in the middle of this stream. The run may still be going on.".to_owned(),
                502,
            ),
            Self::Idle(idle) => (
                "gateway_timeout",
                format!(
                    "Dify sent nothing for {} s, so the gateway ended this stream. The run may still be going on.",
                    idle.as_secs_f32()
                ),
                504,
            ),
            Self::Ceiling => (
                "gateway_timeout",
                "This stream has lasted as long as the gateway lets one last. The run may still be going on.".to_owned(),
                504,
            ),
        }
    }
}

/// Watches over an answer's time with one timer, however many pieces come.
pub(super) struct Watch<C> {
    clock: C,
    idle: Duration,
    until: Duration,
    last: Duration,
    timer: Pin<Box<dyn Future<Output = ()>>>,
}

impl<C: Clock> Watch<C> {
    pub fn new(clock: C, idle: Duration, until: Duration) -> Self {
        let now = clock.now();
        let rest = until.saturating_sub(now);
        Self {
            idle,
            until,
            last: now,
            timer: Box::pin(clock.sleep(idle.min(rest))),
            clock,
        }
    }

    /// Waits so long.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        self.clock.sleep(time)
    }

    /// Says that a piece came.
    pub fn stirred(&mut self) {
        self.last = self.clock.now();
    }

    /// Waits for the future, as long as there is time.
    pub async fn over<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Cut> {
        let mut future = std::pin::pin!(future);
        loop {
            match select(future.as_mut(), self.timer.as_mut()).await {
                Either::Left((output, _)) => return Ok(output),
                Either::Right(((), _)) => {
                    let now = self.clock.now();
                    if now >= self.until {
                        return Err(Cut::Ceiling);
                    }
                    let quiet_until = self.last.saturating_add(self.idle);
                    if now >= quiet_until {
                        return Err(Cut::Idle(self.idle));
                    }
                    let next = quiet_until.min(self.until).saturating_sub(now);
                    self.timer = Box::pin(self.clock.sleep(next));
                }
            }
        }
    }
}

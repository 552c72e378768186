//! How long an answer that is read along may take, and what its client is told when that is over.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::StatusCode;
use spillway_platform::{Clock, SendError};
use spillway_surface::LocalReply;
use spillway_telemetry::Reason;

/// Why an answer that has begun is not passed on to its end.
#[derive(Debug)]
pub(super) enum Cut {
    Failed(SendError),
    Idle(Duration),
    Ceiling,
}

impl Cut {
    /// What the client is told.
    pub fn reply(&self) -> LocalReply {
        let late = |message: &str| {
            let (status, reason) = (StatusCode::GATEWAY_TIMEOUT, Reason::UpstreamTimeout);
            LocalReply::error(status, reason, message)
        };
        match self {
            Self::Failed(SendError::BetweenBytesTimeout) => late(
                "Dify sent nothing more for too long, so the gateway ended this stream. The run may still be going on.",
            ),
            Self::Failed(_) => LocalReply::error(
                StatusCode::BAD_GATEWAY,
                Reason::UpstreamError,
                "The connection to Dify broke off in the middle of this stream. The run may still be going on.",
            ),
            Self::Idle(idle) => late(&format!(
                "Dify sent nothing for {} s, so the gateway ended this stream. The run may still be going on.",
                idle.as_secs_f32()
            )),
            Self::Ceiling => late(
                "This stream has lasted as long as the gateway lets one last. The run may still be going on.",
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

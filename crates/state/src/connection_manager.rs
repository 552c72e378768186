//! One connection of an instance, and how its answers are waited for. Opened when it is first needed, shared by all
//! requests, and opened again after it broke.
//!
//! Rule: whoever waits says until when, and that holds for all that it takes: opening a connection, and sending again
//! what went down with one. An answer that is not there by then is awaited in a task of its own, off the request's path,
//! so that the connection survives: a late answer costs those their verdict who wait for it, and for what is answered
//! behind it. A connection is let go when it breaks, or when nothing at all has been answered on it for two seconds.

mod connector;
mod open_connection;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use spillway_platform::{Clock, Waiting};

use self::connector::Connector;
use crate::{RedisError, Transport};

/// A Redis that has owed an answer for so long is taken for gone, an earlier one for slow or far away.
const SILENCE: Duration = Duration::from_millis(500);

/// One connection of this instance, opened when first needed.
pub struct ConnectionManager<T: Transport> {
    connector: Arc<Connector<T>>,
}

impl<T: Transport> std::fmt::Debug for ConnectionManager<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ConnectionManager")
    }
}

impl<T: Transport> ConnectionManager<T> {
    /// Over this transport.
    pub fn new(transport: T) -> Self {
        Self {
            connector: Arc::new(Connector::new(transport)),
        }
    }

    /// Runs the command that `make` makes. Where the connection that stood turns out to be broken it is sent once more.
    ///
    /// # Errors
    /// [`RedisError`]. After [`RedisError::Late`] and [`RedisError::Timeout`] Redis may have done the command, or do it
    /// yet.
    pub async fn execute(
        &self,
        make: impl Fn() -> T::Command,
        waiting: Waiting,
    ) -> Result<T::Answer, RedisError> {
        let was_open = self.connector.current().is_some();
        match self.run_once(make(), waiting).await {
            // As Redis was not asked over it before, a new connection tells how Redis is.
            Err(error) if was_open && error.is_broken_connection() => {
                self.run_once(make(), waiting).await
            }
            result => result,
        }
    }

    /// How long Redis takes to answer; `None` without a connection on which it does.
    pub fn distance(&self) -> Option<Duration> {
        let open = self.connector.current()?;
        let now = self.connector.transport().now();
        (open.silent_for(now) < SILENCE).then(|| open.distance())
    }

    /// Another connection to the same Redis.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(self.connector.transport().clone())
    }

    async fn run_once(
        &self,
        command: T::Command,
        waiting: Waiting,
    ) -> Result<T::Answer, RedisError> {
        let open = self.connector.connect(waiting).await?;
        let mut call = self.connector.call(&open, command);
        let connector = Arc::clone(&self.connector);
        let Waiting::Until(until) = waiting else {
            return connector.see_through(open, call).await;
        };
        let transport = self.connector.transport();
        let left = until.saturating_sub(transport.now());
        match within(transport, left, &mut call).await {
            Some(result) => result,
            None => {
                let silent_for = open.silent_for(transport.now());
                transport.spawn(async move {
                    // Whoever wanted to know has been told that it is late.
                    let _ = connector.see_through(open, call).await;
                });
                Err(too_late(silent_for, SILENCE))
            }
        }
    }
}

/// What it means that there is nothing yet from a Redis that has said nothing for so long.
fn too_late(silent_for: Duration, gone_after: Duration) -> RedisError {
    if silent_for < gone_after {
        RedisError::Late
    } else {
        RedisError::Timeout
    }
}

async fn within<O>(
    clock: &impl Clock,
    timeout: Duration,
    future: impl Future<Output = O>,
) -> Option<O> {
    let timer = std::pin::pin!(clock.sleep(timeout));
    match select(std::pin::pin!(future), timer).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}

//! One connection of an instance, and how its answers are waited for. Opened when it is first needed, shared by all
//! requests, and opened again after it broke.
//!
//! Rule: a request waits for an answer as long as the way to Redis and back takes (at most `timeout`), and `timeout`
//! more. An answer that is not there by then is awaited in a task of its own, off the request's path, so that the
//! connection survives: a late answer costs those their verdict who wait for it, and for what is answered behind it. A
//! connection is let go when it breaks, or when nothing at all has been answered on it for two seconds.

mod connector;
mod open_connection;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use spillway_platform::Clock;

use self::connector::Connector;
use self::open_connection::OpenConnection;
use crate::{Patience, RedisError, Transport};

/// A Redis that has owed an answer for so long is taken for gone, an earlier one for slow or far away.
const SILENCE: Duration = Duration::from_millis(500);

/// One connection of this instance, opened when first needed.
pub struct ConnectionManager<T: Transport> {
    timeout: Duration,
    connector: Arc<Connector<T>>,
}

impl<T: Transport> std::fmt::Debug for ConnectionManager<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ConnectionManager")
    }
}

impl<T: Transport> ConnectionManager<T> {
    /// Over this transport. No request waits longer for an answer than `timeout` and the distance together, nor than
    /// twice `timeout`; where a connection has to be opened first, five times `timeout` more. What is sent once more,
    /// because its connection broke, may take that again.
    pub fn new(transport: T, timeout: Duration) -> Self {
        Self {
            timeout,
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
        patience: Patience,
    ) -> Result<T::Answer, RedisError> {
        let was_open = self.connector.current().is_some();
        match self.run_once(make(), patience).await {
            // As Redis was not asked over it before, a new connection tells how Redis is.
            Err(error) if was_open && error.is_broken_connection() => {
                self.run_once(make(), patience).await
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

    /// Another connection to the same Redis, whose requests wait so long.
    #[must_use]
    pub fn another(&self, timeout: Duration) -> Self {
        Self::new(self.connector.transport().clone(), timeout)
    }

    async fn run_once(
        &self,
        command: T::Command,
        patience: Patience,
    ) -> Result<T::Answer, RedisError> {
        let open = self.connector.connect(self.timeout).await?;
        let mut call = self.connector.call(&open, command);
        let connector = Arc::clone(&self.connector);
        if patience != Patience::Request {
            return connector.see_through(open, call).await;
        }
        let transport = self.connector.transport();
        match within(transport, self.wait(&open), &mut call).await {
            Some(result) => result,
            None => {
                let silent_for = open.silent_for(transport.now());
                transport.spawn(async move {
                    // Whoever wanted to know has been told that it is late.
                    let _ = connector.see_through(open, call).await;
                });
                Err(if silent_for < SILENCE {
                    RedisError::Late
                } else {
                    RedisError::Timeout
                })
            }
        }
    }

    /// How long a request waits for an answer on this connection.
    fn wait(&self, open: &OpenConnection<T>) -> Duration {
        self.timeout
            .saturating_add(open.distance().min(self.timeout))
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

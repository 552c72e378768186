//! Redis through the runtime. Neither pooled nor reconnected there: a connection is opened once an instance and kept
//! for as long as it serves.
//!
//! Rule: a request waits for an answer as long as the way to Redis and back takes (at most `timeout`), and `timeout`
//! more. An answer that is not there by then is awaited in a task of its own, off the request's path, so that the
//! connection survives: one late answer costs one request its verdict and nobody else anything. A connection is let
//! go when it breaks, or when nothing at all has been answered on it for two seconds.

mod connection;
mod message;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use spin_sdk::wasip3::spawn;

use spillway_platform::Clock;
use spillway_state::{Patience, RedisConnection, RedisError, Reply};

use self::connection::{OpenConnection, Shared};
use self::message::parameters;
use super::clock::SpinClock;

/// A Redis that has owed an answer for so long is taken for gone, an earlier one for slow or far away.
const SILENCE: Duration = Duration::from_millis(500);

/// One connection of this instance, opened when first needed.
#[derive(Debug)]
pub struct SpinRedis {
    timeout: Duration,
    connection: Arc<Shared>,
}

impl SpinRedis {
    /// To this address. No request waits longer for an answer than `timeout` and the distance together, nor than
    /// twice `timeout`; where a connection has to be opened first, five times `timeout` more.
    pub fn new(address: String, timeout: Duration) -> Self {
        Self {
            timeout,
            connection: Arc::new(Shared::new(address)),
        }
    }

    async fn run_once(
        &self,
        command: &str,
        texts: &[String],
        patience: Patience,
    ) -> Result<Vec<Reply>, RedisError> {
        let open = self.connection.connect(self.timeout).await?;
        let mut call = self.connection.call(&open, command, parameters(texts));
        let shared = Arc::clone(&self.connection);
        if patience != Patience::Request {
            return shared.see_through(open, call).await;
        }
        match within(self.wait(&open), &mut call).await {
            Some(result) => result,
            None => {
                let silent_for = open.silent_for();
                spawn(async move {
                    // Whoever wanted to know has been told that it is late.
                    let _ = shared.see_through(open, call).await;
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
    fn wait(&self, open: &OpenConnection) -> Duration {
        self.timeout
            .saturating_add(open.distance().min(self.timeout))
    }
}

impl RedisConnection for SpinRedis {
    async fn execute(
        &self,
        command: &str,
        parameters: &[String],
        patience: Patience,
    ) -> Result<Vec<Reply>, RedisError> {
        let was_open = self.connection.current().is_some();
        match self.run_once(command, parameters, patience).await {
            // As Redis was not asked over it before, a new connection tells how Redis is.
            Err(error) if was_open && error.is_broken_connection() => {
                self.run_once(command, parameters, patience).await
            }
            result => result,
        }
    }

    fn distance(&self) -> Option<Duration> {
        let open = self.connection.current()?;
        (open.silent_for() < SILENCE).then(|| open.distance())
    }

    fn another(&self, timeout: Duration) -> Self {
        Self::new(self.connection.address().to_owned(), timeout)
    }
}

async fn within<T>(timeout: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(
        std::pin::pin!(future),
        std::pin::pin!(SpinClock.sleep(timeout)),
    )
    .await
    {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}

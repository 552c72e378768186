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
use spin_sdk::redis::RedisParameter;
use spin_sdk::wasip3::spawn;

use self::connection::{Held, Shared};
use super::SpinClock;
use spillway_platform::Clock;

pub use self::message::{Error, Parameter, Reply};

/// A Redis that has owed an answer for so long is taken for gone, an earlier one for slow or far away.
const SILENCE: Duration = Duration::from_millis(500);

/// One connection of this instance, opened when first needed.
#[derive(Debug)]
pub struct Redis {
    timeout: Duration,
    connection: Arc<Shared>,
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Request,
    Nobody,
}

impl Redis {
    /// To this address. No request waits longer for an answer than `timeout` and the distance together, nor than
    /// twice `timeout`; where a connection has to be opened first, five times `timeout` more.
    pub fn new(address: String, timeout: Duration) -> Self {
        Self {
            timeout,
            connection: Arc::new(Shared::new(address)),
        }
    }

    /// Runs one command for a request that waits. A connection that turns out to be broken is replaced, and the
    /// command sent once more: Redis may have done it already then.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Late`] and [`Error::Timeout`] Redis may have done the command, or do it yet.
    pub async fn execute(
        &self,
        command: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<Reply>, Error> {
        self.run(command, parameters, Waiting::Request).await
    }

    /// As [`Self::execute`] where no request waits: an answer that comes late is taken, too.
    ///
    /// # Errors
    /// [`Error`], [`Error::Late`] excepted.
    pub async fn execute_patiently(
        &self,
        command: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<Reply>, Error> {
        self.run(command, parameters, Waiting::Nobody).await
    }

    /// As [`Self::execute_patiently`], but sent no second time where the connection breaks: for what must not be done
    /// twice.
    ///
    /// # Errors
    /// As [`Self::execute_patiently`].
    pub async fn execute_once(
        &self,
        command: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<Reply>, Error> {
        let parameters = in_the_runtimes_words(parameters);
        self.run_once(command, &parameters, Waiting::Nobody).await
    }

    /// How long Redis takes to answer; `None` without a connection on which it does.
    pub fn distance(&self) -> Option<Duration> {
        let held = self.connection.held()?;
        (held.silent_for() < SILENCE).then(|| held.distance())
    }

    async fn run(
        &self,
        command: &str,
        parameters: Vec<Parameter>,
        waiting: Waiting,
    ) -> Result<Vec<Reply>, Error> {
        let parameters = in_the_runtimes_words(parameters);
        let was_held = self.connection.held().is_some();
        match self.run_once(command, &parameters, waiting).await {
            // As Redis was not asked over it before, a new connection tells how Redis is.
            Err(error) if was_held && error.is_broken_connection() => {
                self.run_once(command, &parameters, waiting).await
            }
            result => result,
        }
    }

    async fn run_once(
        &self,
        command: &str,
        parameters: &[RedisParameter],
        waiting: Waiting,
    ) -> Result<Vec<Reply>, Error> {
        let held = self.connection.connect(self.timeout).await?;
        let mut call = self.connection.call(&held, command, parameters.to_vec());
        let shared = Arc::clone(&self.connection);
        if waiting == Waiting::Nobody {
            return shared.see_through(held, call).await;
        }
        match within(self.wait(&held), &mut call).await {
            Some(result) => result,
            None => {
                let silent_for = held.silent_for();
                spawn(async move {
                    // Whoever wanted to know has been told that it is late.
                    let _ = shared.see_through(held, call).await;
                });
                Err(if silent_for < SILENCE {
                    Error::Late
                } else {
                    Error::Timeout
                })
            }
        }
    }

    /// How long a request waits for an answer on this connection.
    fn wait(&self, held: &Held) -> Duration {
        self.timeout
            .saturating_add(held.distance().min(self.timeout))
    }
}

fn in_the_runtimes_words(parameters: Vec<Parameter>) -> Vec<RedisParameter> {
    parameters.into_iter().map(RedisParameter::from).collect()
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

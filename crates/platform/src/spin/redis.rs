//! Redis through the runtime. Neither pooled nor reconnected there: a connection is opened once an instance and
//! dropped on error.

use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::{Either, select};
use spin_sdk::redis::{self, Connection, RedisParameter, RedisResult};

use super::SpinClock;
use crate::Clock;

/// Why a command gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The address cannot be used.
    #[error("the address is not one of a Redis")]
    InvalidAddress,
    /// The runtime refused, or Redis answered with an error; its words.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// Whether Redis does not know the script that `EVALSHA` named.
    pub fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Other(text) if text.contains("NOSCRIPT") || text.contains("NoScriptError"))
    }
}

/// An argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// A number.
    Number(i64),
    /// Text or bytes.
    Bytes(Vec<u8>),
}

/// A part of a command's result; nested arrays come flattened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// A status such as `OK`.
    Status(String),
    /// A number.
    Number(i64),
    /// Text or bytes.
    Bytes(Vec<u8>),
}

/// One connection of this instance, opened when first needed.
#[derive(Debug)]
pub struct Redis {
    address: String,
    timeout: Duration,
    connection: Mutex<Option<Arc<Held>>>,
}

struct Held(Connection);

impl std::fmt::Debug for Held {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Held")
    }
}

impl Redis {
    /// To this address; no call takes longer than `timeout`.
    pub const fn new(address: String, timeout: Duration) -> Self {
        Self {
            address,
            timeout,
            connection: Mutex::new(None),
        }
    }

    /// Runs one command.
    ///
    /// # Errors
    /// [`Error`]; the connection is replaced at the next call then.
    pub async fn execute(
        &self,
        command: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<Reply>, Error> {
        let result = match within(self.timeout, self.execute_now(command, parameters)).await {
            Some(result) => result,
            None => Err(Error::Timeout),
        };
        // A script that is not known yet says nothing against the connection.
        if result
            .as_ref()
            .is_err_and(|error| !error.is_unknown_script())
        {
            self.replace(None);
        }
        result
    }

    async fn execute_now(
        &self,
        command: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<Reply>, Error> {
        let held = self.connection.lock().ok().and_then(|held| held.clone());
        let held = match held {
            Some(held) => held,
            None => {
                let held = Arc::new(Held(Connection::open(&self.address).await?));
                self.replace(Some(Arc::clone(&held)));
                held
            }
        };
        let parameters = parameters.into_iter().map(|parameter| match parameter {
            Parameter::Number(number) => RedisParameter::Int64(number),
            Parameter::Bytes(bytes) => RedisParameter::Binary(bytes),
        });
        let results = held.0.execute(command, parameters).await?;
        Ok(results.into_iter().map(Reply::from).collect())
    }

    fn replace(&self, connection: Option<Arc<Held>>) {
        if let Ok(mut held) = self.connection.lock() {
            *held = connection;
        }
    }
}

impl From<RedisResult> for Reply {
    fn from(result: RedisResult) -> Self {
        match result {
            RedisResult::Nil => Self::Nil,
            RedisResult::Status(status) => Self::Status(status),
            RedisResult::Int64(number) => Self::Number(number),
            RedisResult::Binary(bytes) => Self::Bytes(bytes),
        }
    }
}

impl From<redis::Error> for Error {
    fn from(error: redis::Error) -> Self {
        match error {
            redis::Error::InvalidAddress => Self::InvalidAddress,
            redis::Error::Other(text) => Self::Other(text),
            other => Self::Other(other.to_string()),
        }
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

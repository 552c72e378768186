//! Redis through the runtime. Neither pooled nor reconnected there: a connection is opened once an instance and
//! dropped on error.

use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use spin_sdk::redis::{self, Connection, RedisParameter, RedisResult};

use spin_sdk::wasip3::spawn;
use spin_sdk::wasip3::wit_bindgen::yield_async;

use super::SpinClock;
use crate::Clock;

/// How long opening a connection may take. No call waits so long.
const OPENING: Duration = Duration::from_secs(2);

/// How often calls look whether the connection stands that another one opens.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

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

    /// Whether Redis itself answered so, or there was no time for an answer, rather than the connection having broken.
    fn is_redis_own(&self) -> bool {
        match self {
            Self::Timeout | Self::InvalidAddress => true,
            Self::Other(text) => !["broken", "reset", "closed", "eof", "terminated"]
                .iter()
                .any(|sign| text.to_ascii_lowercase().contains(sign)),
        }
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
    timeout: Duration,
    connection: Arc<Shared>,
}

/// What calls, and the task that opens a connection for them, have in common.
#[derive(Debug)]
struct Shared {
    address: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Arc<Held>>,
    /// A connection is being opened.
    is_opening: bool,
    /// Why the last one could not be opened.
    failed: Option<Error>,
}

struct Held(Connection);

impl std::fmt::Debug for Held {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Held")
    }
}

impl Redis {
    /// To this address; no call takes longer than `timeout`.
    pub fn new(address: String, timeout: Duration) -> Self {
        Self {
            timeout,
            connection: Arc::new(Shared {
                address,
                state: Mutex::default(),
            }),
        }
    }

    /// Runs one command. A connection that turns out to be broken is replaced, and the command sent once more: Redis
    /// may have done it already then.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn execute(
        &self,
        command: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<Reply>, Error> {
        let parameters: Vec<RedisParameter> = parameters
            .into_iter()
            .map(|parameter| match parameter {
                Parameter::Number(number) => RedisParameter::Int64(number),
                Parameter::Bytes(bytes) => RedisParameter::Binary(bytes),
            })
            .collect();
        let trying = async {
            let used_before = self.connection.held();
            match self.execute_once(command, &parameters).await {
                // As Redis was not asked over it before, a new connection tells how Redis is.
                Err(error) if used_before.is_some() && !error.is_redis_own() => {
                    self.execute_once(command, &parameters).await
                }
                result => result,
            }
        };
        match within(self.timeout, trying).await {
            Some(result) => result,
            None => {
                self.connection.discard(self.connection.held().as_ref());
                Err(Error::Timeout)
            }
        }
    }

    async fn execute_once(
        &self,
        command: &str,
        parameters: &[RedisParameter],
    ) -> Result<Vec<Reply>, Error> {
        let held = self.connect().await?;
        let result = held.0.execute(command, parameters.to_vec()).await;
        let result = result.map_err(Error::from);
        // A script that is not known yet says nothing against the connection.
        if result
            .as_ref()
            .is_err_and(|error| !error.is_unknown_script())
        {
            self.connection.discard(Some(&held));
        }
        Ok(result?.into_iter().map(Reply::from).collect())
    }

    /// The connection. It is opened once for all calls that wait for it, in a task of its own, so that a handshake
    /// which takes longer than a call has (with TLS, on a busy machine) is not begun anew by each.
    async fn connect(&self) -> Result<Arc<Held>, Error> {
        let opens = {
            let Ok(mut state) = self.connection.state.lock() else {
                return Err(Error::Timeout);
            };
            if let Some(held) = &state.held {
                return Ok(Arc::clone(held));
            }
            !std::mem::replace(&mut state.is_opening, true)
        };
        if opens {
            let (done, opened) = oneshot::channel();
            spawn(Arc::clone(&self.connection).open(done));
            // What is spawned begins at the task's next event only (wit-bindgen wakes nothing), and from a task that
            // was spawned itself that could be the end of the time for the call.
            yield_async().await;
            // The other end only ever says that it is done.
            let _ = opened.await;
        } else {
            // One request's task cannot wake another's in a component (wit-bindgen traps), so the others look again
            // and again.
            let mut pause = SHORTEST_PAUSE;
            while self.connection.is_opening() {
                SpinClock.sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        }
        let state = self.connection.state.lock();
        state.map_or(Err(Error::Timeout), |state| match &state.held {
            Some(held) => Ok(Arc::clone(held)),
            None => Err(state.failed.clone().unwrap_or(Error::Timeout)),
        })
    }
}

impl Shared {
    async fn open(self: Arc<Self>, done: oneshot::Sender<()>) {
        let opened = within(OPENING, Connection::open(&self.address)).await;
        let opened = opened.map_or(Err(Error::Timeout), |opened| opened.map_err(Error::from));
        if let Ok(mut state) = self.state.lock() {
            state.is_opening = false;
            match opened {
                Ok(connection) => {
                    state.held = Some(Arc::new(Held(connection)));
                    state.failed = None;
                }
                Err(error) => state.failed = Some(error),
            }
        }
        // Nobody may be waiting any more.
        let _ = done.send(());
    }

    fn is_opening(&self) -> bool {
        self.state.lock().is_ok_and(|state| state.is_opening)
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.state.lock().ok().and_then(|state| state.held.clone())
    }

    /// Lets this connection go, unless another one has taken its place.
    fn discard(&self, failed: Option<&Arc<Held>>) {
        if let (Ok(mut state), Some(failed)) = (self.state.lock(), failed)
            && state
                .held
                .as_ref()
                .is_some_and(|held| Arc::ptr_eq(held, failed))
        {
            state.held = None;
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

//! The connection that all calls of an instance share, and the calls on it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use spin_sdk::redis::{Connection, RedisParameter};
use spin_sdk::wasip3::spawn;
use spin_sdk::wasip3::wit_bindgen::yield_async;

use super::message::{error_of, reply_of};
use super::within;
use crate::clock::SpinClock;
use spillway_platform::{Clock, RoundTrips};
use spillway_state::{RedisError, Reply};

/// How long opening a connection may take. No call waits so long.
const OPENING: Duration = Duration::from_secs(2);

/// For how much longer than an answer calls wait for a connection that is opened: up to five round trips, of TCP, two
/// of TLS 1.2, and the login.
const OPENING_WAIT: u32 = 5;

/// Without any answer for so long a connection is thrown away; an answer that is owed by then is not awaited.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(2);

/// How often calls look whether the connection stands that another one opens.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(8);

/// What calls, and the task that opens a connection for them, have in common.
#[derive(Debug)]
pub(super) struct Shared {
    address: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Option<Arc<OpenConnection>>,
    /// Since when a connection is being opened.
    opening: Option<Duration>,
    /// Why the last one could not be opened.
    failed: Option<RedisError>,
}

/// A connection that stands.
pub(super) struct OpenConnection {
    connection: Connection,
    trips: Mutex<RoundTrips>,
}

impl std::fmt::Debug for OpenConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Held")
    }
}

/// A call in flight. It can be handed over to a task of its own at any time.
pub(super) type Call = Pin<Box<dyn Future<Output = Result<Vec<Reply>, RedisError>>>>;

impl Shared {
    pub fn new(address: String) -> Self {
        Self {
            address,
            state: Mutex::default(),
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The connection. It is opened once for all calls that wait for it, in a task of its own, so that a handshake
    /// which takes longer than a call has (with TLS, from far away, on a busy machine) is not begun anew by each.
    ///
    /// The first one of an instance, and the next after one that served, are waited for as many times longer than
    /// `timeout` as an opening has round trips; after one that failed, no longer than for an answer.
    pub async fn connect(
        self: &Arc<Self>,
        timeout: Duration,
    ) -> Result<Arc<OpenConnection>, RedisError> {
        let now = SpinClock.now();
        let (opens, until) = {
            let Ok(mut state) = self.state.lock() else {
                return Err(RedisError::Timeout);
            };
            if let Some(open) = &state.open {
                return Ok(Arc::clone(open));
            }
            let wait = if state.failed.is_some() {
                timeout
            } else {
                timeout.saturating_mul(OPENING_WAIT).min(OPENING)
            };
            let opens = state.opening.is_none();
            let since = *state.opening.get_or_insert(now);
            (opens, since.saturating_add(wait))
        };
        if opens {
            let (done, opened) = oneshot::channel();
            spawn(Arc::clone(self).open(done));
            // What is spawned begins at the task's next event only (wit-bindgen wakes nothing), and from a task that
            // was spawned itself that could be the end of the time for the call.
            yield_async().await;
            // The other end only ever says that it is done.
            let _ = within(until.saturating_sub(now), opened).await;
        } else {
            // One request's task cannot wake another's in a component (wit-bindgen traps), so the others look again
            // and again.
            let mut pause = MIN_PAUSE;
            while self.is_opening() && SpinClock.now() < until {
                SpinClock.sleep(pause).await;
                pause = pause.saturating_mul(2).min(MAX_PAUSE);
            }
        }
        let state = self.state.lock();
        state.map_or(Err(RedisError::Timeout), |state| match &state.open {
            Some(open) => Ok(Arc::clone(open)),
            None => Err(state.failed.clone().unwrap_or(RedisError::Timeout)),
        })
    }

    async fn open(self: Arc<Self>, done: oneshot::Sender<()>) {
        let began = SpinClock.now();
        let opened = within(OPENING, Connection::open(&self.address)).await;
        let opened = opened.map_or(Err(RedisError::Timeout), |opened| opened.map_err(error_of));
        let now = SpinClock.now();
        if let Ok(mut state) = self.state.lock() {
            state.opening = None;
            match opened {
                Ok(connection) => {
                    let trips = RoundTrips::new(now, now.saturating_sub(began));
                    state.open = Some(Arc::new(OpenConnection {
                        connection,
                        trips: Mutex::new(trips),
                    }));
                    state.failed = None;
                }
                Err(error) => state.failed = Some(error),
            }
        }
        // Nobody may be waiting any more.
        let _ = done.send(());
    }

    fn is_opening(&self) -> bool {
        self.state.lock().is_ok_and(|state| state.opening.is_some())
    }

    pub fn current(&self) -> Option<Arc<OpenConnection>> {
        self.state.lock().ok().and_then(|state| state.open.clone())
    }

    /// Lets this connection go, unless another one has taken its place.
    fn discard(&self, failed: &Arc<OpenConnection>) {
        if let Ok(mut state) = self.state.lock()
            && state
                .open
                .as_ref()
                .is_some_and(|open| Arc::ptr_eq(open, failed))
        {
            state.open = None;
        }
    }

    /// Begins a call on this connection. It has no end of its own; the connection is let go if it turns out broken.
    pub fn call(
        self: &Arc<Self>,
        open: &Arc<OpenConnection>,
        command: &str,
        parameters: Vec<RedisParameter>,
    ) -> Call {
        let (shared, open, command) = (Arc::clone(self), Arc::clone(open), command.to_owned());
        Box::pin(async move {
            let owed = Owed::begin(&open);
            let result = open.connection.execute(&command, parameters).await;
            let result = result.map_err(error_of);
            match &result {
                Err(error) if !error.keeps_connection() => shared.discard(&open),
                _ => owed.answered(),
            }
            Ok(result?.into_iter().map(reply_of).collect())
        })
    }

    /// Waits for a call's answer for as long as anything is answered on its connection. That is let go after two
    /// seconds without: nothing is awaited on it any more then, and the next call opens another.
    pub async fn see_through(
        self: Arc<Self>,
        open: Arc<OpenConnection>,
        mut call: Call,
    ) -> Result<Vec<Reply>, RedisError> {
        loop {
            let left = GIVEN_UP_AFTER.saturating_sub(open.silent_for());
            if left.is_zero() {
                self.discard(&open);
                return Err(RedisError::Timeout);
            }
            match select(&mut call, std::pin::pin!(SpinClock.sleep(left))).await {
                Either::Left((result, _)) => return result,
                // Something else may have been answered meanwhile.
                Either::Right(_) => {}
            }
        }
    }
}

impl OpenConnection {
    /// How long an answer is expected to take.
    pub fn distance(&self) -> Duration {
        self.trips
            .lock()
            .map_or(Duration::ZERO, |trips| trips.distance())
    }

    /// How long answers have been owed and none was given.
    pub fn silent_for(&self) -> Duration {
        let now = SpinClock.now();
        self.trips
            .lock()
            .map_or(Duration::ZERO, |trips| trips.silent_for(now))
    }
}

/// An answer that is owed, until it comes or nobody waits for it any more.
struct Owed<'h> {
    open: &'h OpenConnection,
    sent: Duration,
    is_open: bool,
}

impl<'h> Owed<'h> {
    fn begin(open: &'h OpenConnection) -> Self {
        let sent = SpinClock.now();
        if let Ok(mut trips) = open.trips.lock() {
            trips.sent(sent);
        }
        Self {
            open,
            sent,
            is_open: true,
        }
    }

    fn answered(mut self) {
        self.is_open = false;
        if let Ok(mut trips) = self.open.trips.lock() {
            trips.answered(self.sent, SpinClock.now());
        }
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if self.is_open
            && let Ok(mut trips) = self.open.trips.lock()
        {
            trips.given_up();
        }
    }
}

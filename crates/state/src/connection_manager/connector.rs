//! The connection that all calls of an instance share, and the calls on it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use spillway_platform::Waiting;

use super::open_connection::{OpenConnection, Owed};
use super::{too_late, within};
use crate::{RedisError, Transport};

/// How long opening a connection may take.
const OPENING: Duration = Duration::from_secs(2);

/// A Redis to which a connection has been opened for so long is taken for gone: it takes up to four ways there and back.
const SILENCE: Duration = Duration::from_secs(1);

/// Without any answer for so long a connection is thrown away; an answer that is owed by then is not awaited.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(2);

/// How often calls look whether the connection stands that another one opens.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(8);

/// What calls, and the task that opens a connection for them, have in common.
pub(super) struct Connector<T: Transport> {
    transport: T,
    state: Mutex<State<T>>,
}

struct State<T: Transport> {
    open: Option<Arc<OpenConnection<T>>>,
    /// Since when a connection is being opened.
    opening: Option<Duration>,
    /// Why the last one could not be opened.
    failed: Option<RedisError>,
    /// How many openings have come to an end, well or not.
    ended: u64,
}

/// A call in flight. It can be handed over to a task of its own at any time.
pub(super) type PendingCall<T> =
    Pin<Box<dyn Future<Output = Result<<T as Transport>::Answer, RedisError>>>>;

impl<T: Transport> Connector<T> {
    pub const fn new(transport: T) -> Self {
        Self {
            transport,
            state: Mutex::new(State {
                open: None,
                opening: None,
                failed: None,
                ended: 0,
            }),
        }
    }

    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// The connection. It is opened once for all calls that wait for it, in a task of its own, so that a handshake
    /// which takes longer than a call has (with TLS, from far away, on a busy machine) is not begun anew by each.
    pub async fn connect(
        self: &Arc<Self>,
        waiting: Waiting,
    ) -> Result<Arc<OpenConnection<T>>, RedisError> {
        loop {
            let now = self.transport.now();
            let (opens, since, ended) = {
                let Ok(mut state) = self.state.lock() else {
                    return Err(RedisError::Timeout);
                };
                if let Some(open) = &state.open {
                    return Ok(Arc::clone(open));
                }
                let opens = state.opening.is_none();
                let since = *state.opening.get_or_insert(now);
                (opens, since, state.ended)
            };
            let until = match waiting {
                // What takes so much longer than there is time for will not stand in time for this one either.
                Waiting::Until(until) if is_overdue(now, since, until) => now,
                Waiting::Until(until) => until,
                Waiting::Nobody => since.saturating_add(OPENING),
            };
            if opens {
                self.begin_opening(until).await;
            } else {
                self.wait_for_another(until).await;
            }
            let Ok(state) = self.state.lock() else {
                return Err(RedisError::Timeout);
            };
            if let Some(open) = &state.open {
                return Ok(Arc::clone(open));
            }
            let was_given_up = state.opening.is_none() && state.ended == ended;
            let now = self.transport.now();
            if state.opening.is_some() {
                return Err(too_late(now.saturating_sub(since), SILENCE));
            }
            if opens || !was_given_up || now >= until {
                return Err(state.failed.clone().unwrap_or(RedisError::Timeout));
            }
            // Whoever was opening it is gone, and has left that to the next.
        }
    }

    async fn begin_opening(self: &Arc<Self>, until: Duration) {
        let (done, opened) = oneshot::channel();
        let opening = Opening(Arc::clone(self));
        self.transport.spawn(async move {
            opening.open().await;
            // Nobody may be waiting any more.
            let _ = done.send(());
        });
        // What is spawned begins at the task's next event only (wit-bindgen wakes nothing), and from a task that was
        // spawned itself that could be the end of the time for the call.
        self.transport.yield_now().await;
        let left = until.saturating_sub(self.transport.now());
        // The other end only ever says that it is done.
        let _ = within(&self.transport, left, opened).await;
    }

    /// One request's task cannot wake another's in a component (wit-bindgen traps), so the others look again and again.
    async fn wait_for_another(&self, until: Duration) {
        let mut pause = MIN_PAUSE;
        while self.is_opening() {
            let left = until.saturating_sub(self.transport.now());
            if left.is_zero() {
                return;
            }
            self.transport.sleep(pause.min(left)).await;
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
        }
    }

    fn is_opening(&self) -> bool {
        self.state.lock().is_ok_and(|state| state.opening.is_some())
    }

    pub fn current(&self) -> Option<Arc<OpenConnection<T>>> {
        self.state.lock().ok().and_then(|state| state.open.clone())
    }

    /// Lets this connection go, unless another one has taken its place.
    fn discard(&self, failed: &Arc<OpenConnection<T>>) {
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
        open: &Arc<OpenConnection<T>>,
        command: T::Command,
    ) -> PendingCall<T> {
        let (connector, open) = (Arc::clone(self), Arc::clone(open));
        Box::pin(async move {
            let owed = Owed::begin(&open);
            let result = T::execute(Arc::clone(&open.connection), command).await;
            match &result {
                Err(error) if !error.keeps_connection() => connector.discard(&open),
                _ => owed.answered(),
            }
            result
        })
    }

    /// Waits for a call's answer for as long as anything is answered on its connection. That is let go after two
    /// seconds without: nothing is awaited on it any more then, and the next call opens another.
    pub async fn see_through(
        self: Arc<Self>,
        open: Arc<OpenConnection<T>>,
        mut call: PendingCall<T>,
    ) -> Result<T::Answer, RedisError> {
        loop {
            let left = GIVEN_UP_AFTER.saturating_sub(open.silent_for(self.transport.now()));
            if left.is_zero() {
                self.discard(&open);
                return Err(RedisError::Timeout);
            }
            let timer = std::pin::pin!(self.transport.sleep(left));
            match select(&mut call, timer).await {
                Either::Left((result, _)) => return result,
                // Something else may have been answered meanwhile.
                Either::Right(_) => {}
            }
        }
    }
}

/// Whether an opening that began at `since` has taken twice as long as somebody has who comes `now`.
fn is_overdue(now: Duration, since: Duration, until: Duration) -> bool {
    let has = until.saturating_sub(now);
    now.saturating_sub(since) > has.saturating_mul(2)
}

/// The one task that opens a connection. The runtime may give it up with its request, wherever it stands, and then the
/// next call that needs a connection begins another.
struct Opening<T: Transport>(Arc<Connector<T>>);

impl<T: Transport> Opening<T> {
    async fn open(self) {
        let transport = &self.0.transport;
        let began = transport.now();
        let opened = within(transport, OPENING, transport.open()).await;
        let opened = opened.unwrap_or(Err(RedisError::Timeout));
        let took = transport.now().saturating_sub(began);
        if let Ok(mut state) = self.0.state.lock() {
            state.ended = state.ended.wrapping_add(1);
            match opened {
                Ok(connection) => {
                    let open = OpenConnection::new(connection, transport.clone(), took);
                    state.open = Some(Arc::new(open));
                    state.failed = None;
                }
                Err(error) => state.failed = Some(error),
            }
        }
    }
}

impl<T: Transport> Drop for Opening<T> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.0.state.lock() {
            state.opening = None;
        }
    }
}

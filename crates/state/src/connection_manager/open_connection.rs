//! A connection that stands, and what is owed on it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_platform::RoundTrips;

use crate::Transport;

pub(super) struct OpenConnection<T: Transport> {
    pub(super) connection: Arc<T::Connection>,
    clock: T,
    trips: Mutex<RoundTrips>,
}

impl<T: Transport> OpenConnection<T> {
    /// That it took `opening` to stand bounds how far away Redis is.
    pub fn new(connection: T::Connection, clock: T, opening: Duration) -> Self {
        let trips = RoundTrips::new(clock.now(), opening);
        Self {
            connection: Arc::new(connection),
            clock,
            trips: Mutex::new(trips),
        }
    }

    /// How long an answer is expected to take.
    pub fn distance(&self) -> Duration {
        self.trips
            .lock()
            .map_or(Duration::ZERO, |trips| trips.distance())
    }

    /// How long answers have been owed and none was given.
    pub fn silent_for(&self, now: Duration) -> Duration {
        self.trips
            .lock()
            .map_or(Duration::ZERO, |trips| trips.silent_for(now))
    }
}

/// An answer that is owed, until it comes or nobody waits for it any more.
pub(super) struct Owed<'c, T: Transport> {
    open: &'c OpenConnection<T>,
    sent: Duration,
    is_open: bool,
}

impl<'c, T: Transport> Owed<'c, T> {
    pub fn begin(open: &'c OpenConnection<T>) -> Self {
        let sent = open.clock.now();
        if let Ok(mut trips) = open.trips.lock() {
            trips.sent(sent);
        }
        Self {
            open,
            sent,
            is_open: true,
        }
    }

    pub fn answered(mut self) {
        self.is_open = false;
        if let Ok(mut trips) = self.open.trips.lock() {
            trips.answered(self.sent, self.open.clock.now());
        }
    }
}

impl<T: Transport> Drop for Owed<'_, T> {
    fn drop(&mut self) {
        if self.is_open
            && let Ok(mut trips) = self.open.trips.lock()
        {
            trips.given_up();
        }
    }
}

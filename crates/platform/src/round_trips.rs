//! What is known of a server from when it was asked and when it answered: how far away it is, and whether it still
//! answers at all.
//!
//! Rule: the distance is the shortest round trip, and drifts towards longer ones by an eighth of the difference, so
//! that one held-up answer says little and a way that has grown longer is noticed. A server is silent for as long as
//! it owes answers and gives none; an answer that comes late is one. Constant cost; the caller tells the time.

use std::time::Duration;

/// What part of the difference a longer round trip adds to the distance.
const DRIFT: u32 = 8;

/// What was sent on one connection, and when it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTrips {
    distance: Duration,
    /// Whether `distance` is of a call, not of the connection's opening.
    is_measured: bool,
    /// Calls that are not answered yet.
    owed: u32,
    /// When the server last answered, or began to owe an answer.
    heard: Duration,
}

impl RoundTrips {
    /// On a connection that stands since `now`. That it took `opening` until then bounds the distance.
    pub const fn new(now: Duration, opening: Duration) -> Self {
        Self {
            distance: opening,
            is_measured: false,
            owed: 0,
            heard: now,
        }
    }

    /// A call was sent.
    pub const fn sent(&mut self, now: Duration) {
        if self.owed == 0 {
            self.heard = now;
        }
        self.owed = self.owed.saturating_add(1);
    }

    /// The call that was sent at `sent` was answered, with whatever.
    pub fn answered(&mut self, sent: Duration, now: Duration) {
        self.given_up();
        self.heard = now;
        let took = now.saturating_sub(sent);
        let longer = took.saturating_sub(self.distance);
        self.distance = if self.is_measured && !longer.is_zero() {
            let drift = longer.checked_div(DRIFT).unwrap_or_default();
            self.distance.saturating_add(drift)
        } else {
            took
        };
        self.is_measured = true;
    }

    /// Nobody waits any more for the answer to a call.
    pub const fn given_up(&mut self) {
        self.owed = self.owed.saturating_sub(1);
    }

    /// How long an answer is expected to take.
    pub const fn distance(&self) -> Duration {
        self.distance
    }

    /// How long the server has owed answers and given none; zero where it owes none.
    pub const fn silent_for(&self, now: Duration) -> Duration {
        if self.owed == 0 {
            Duration::ZERO
        } else {
            now.saturating_sub(self.heard)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_distance_falls_at_once_and_rises_slowly() {
        let mut trips = RoundTrips::new(ms(0), ms(240));
        assert_eq!(trips.distance(), ms(240), "all that is known so far");
        for (took, expected) in [(80, 80), (800, 170), (20, 20), (28, 21), (21, 21)] {
            trips.sent(ms(1000));
            trips.answered(ms(1000), ms(1000 + took));
            assert_eq!(trips.distance(), ms(expected), "after {took} ms");
        }
        let mut far = RoundTrips::new(ms(0), ms(1));
        far.sent(ms(0));
        far.answered(ms(0), ms(300));
        assert_eq!(far.distance(), ms(300), "an opening is no measure");
    }

    #[test]
    fn a_server_that_owes_answers_is_silent_until_one_comes_however_late() {
        let mut trips = RoundTrips::new(ms(0), ms(1));
        assert_eq!(trips.silent_for(ms(5_000)), ms(0), "it owes nothing");
        trips.sent(ms(5_000));
        trips.sent(ms(5_400));
        assert_eq!(trips.silent_for(ms(5_500)), ms(500));
        trips.answered(ms(5_000), ms(5_500));
        assert_eq!(trips.silent_for(ms(5_600)), ms(100), "it owes another");
        trips.answered(ms(5_400), ms(5_900));
        assert_eq!(trips.silent_for(ms(9_000)), ms(0));
        trips.sent(ms(9_000));
        trips.given_up();
        trips.given_up();
        assert_eq!(trips.silent_for(ms(9_900)), ms(0), "nobody waits");
    }
}

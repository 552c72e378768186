//! What it means that Redis is so far away, in words that say what to do.

use std::time::Duration;

/// What part of the time that a request waits a distance may take without a word.
const NEAR: u32 = 2;

/// How far away Redis is, for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distance {
    /// Near enough that nobody notices.
    Near,
    /// Requests are counted, and wait for it.
    Far(String),
    /// Requests do not wait so long, so none is counted in time.
    TooFar(String),
}

impl Distance {
    /// Of a Redis that takes this long to answer while requests wait `timeout` (`state.timeout`) longer than the way
    /// takes, and twice `timeout` at most.
    pub fn of(distance: Duration, timeout: Duration) -> Self {
        let (away, max) = (distance.as_millis(), timeout.saturating_mul(2));
        if distance >= max {
            Self::TooFar(format!(
                "Redis is {away} ms away, and a request waits for it {} ms at most, so that none is counted in time. Move it nearer, or raise `state.timeout`",
                max.as_millis()
            ))
        } else if distance.saturating_mul(NEAR) >= timeout {
            Self::Far(format!(
                "Redis is {away} ms away, and each request that is limited waits for it. Move it nearer"
            ))
        } else {
            Self::Near
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_requests_wait_for_is_told_and_what_they_do_not_wait_for_too() {
        let of =
            |distance| Distance::of(Duration::from_millis(distance), Duration::from_millis(100));
        assert_eq!([of(0), of(49)], [Distance::Near, Distance::Near]);
        for distance in [50, 80, 199] {
            assert!(
                matches!(of(distance), Distance::Far(text) if text.contains(&format!("{distance} ms away"))),
            );
        }
        for distance in [200, 5000] {
            assert!(
                matches!(of(distance), Distance::TooFar(text) if text.contains("200 ms at most")),
            );
        }
    }
}

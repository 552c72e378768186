//! What it means that Redis is so far away, in words that say what to do.

use std::time::Duration;

/// From here on it is told, as each request that is limited waits for it.
const FAR: Duration = Duration::from_millis(50);

/// So many ways there and back the first requests of an instance wait for, where a connection has to be opened: that of
/// TCP, the login, and the verdict's own; with TLS two more.
const TO_OPEN: u32 = 3;
const TO_OPEN_WITH_TLS: u32 = 5;

/// How far away Redis is, for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distance {
    /// Near enough that nobody notices.
    Near,
    /// Requests are counted, and wait for it; those for which a connection is opened perhaps are not.
    Far(String),
    /// Requests do not wait so long, so none is counted in time.
    TooFar(String),
}

impl Distance {
    /// Of the Redis at this address that takes this long to answer while requests wait `timeout` (`state.timeout`) for it
    /// at most.
    pub fn of(distance: Duration, timeout: Duration, address: &str) -> Self {
        let (away, max) = (distance.as_millis(), timeout.as_millis());
        let ways = if address.trim_start().starts_with("rediss:") {
            TO_OPEN_WITH_TLS
        } else {
            TO_OPEN
        };
        let opening = distance.saturating_mul(ways);
        if distance >= timeout {
            Self::TooFar(format!(
                "Redis is {away} ms away, and a request waits for it {max} ms at most, so that none is counted in time. Move it nearer, or raise `state.timeout` above {} ms",
                opening.as_millis()
            ))
        } else if opening >= timeout {
            Self::Far(format!(
                "Redis is {away} ms away. Requests that come while an instance opens its connection wait {} ms for it, which is longer than `state.timeout` ({max} ms), so that `on_error` decides about them. Move Redis nearer, or raise `state.timeout` above that",
                opening.as_millis()
            ))
        } else if distance >= FAR {
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
        let of = |distance, timeout| {
            Distance::of(
                Duration::from_millis(distance),
                Duration::from_millis(timeout),
                "redis://r",
            )
        };
        assert_eq!([of(0, 150), of(49, 150)], [Distance::Near, Distance::Near]);
        for (distance, timeout, words) in [
            (50, 150, "on_error"),
            (149, 150, "wait 447 ms for it"),
            (80, 1000, "80 ms away, and each request"),
        ] {
            let is = of(distance, timeout);
            assert!(
                matches!(&is, Distance::Far(text) if text.contains(words)),
                "{is:?}"
            );
        }
        // With TLS a connection takes longer to stand.
        let (near, patience) = (Duration::from_millis(30), Duration::from_millis(150));
        assert_eq!(Distance::of(near, patience, "redis://r"), Distance::Near);
        let with_tls = Distance::of(near, patience, "rediss://r");
        assert!(matches!(with_tls, Distance::Far(_)), "{with_tls:?}");
        for distance in [150, 5000] {
            let is = of(distance, 150);
            assert!(
                matches!(&is, Distance::TooFar(text) if text.contains("150 ms at most")),
                "{is:?}"
            );
        }
    }
}

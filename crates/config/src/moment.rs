//! Moments as an operator writes them: `2026-12-01T00:00:00Z`, or a day, which begins at midnight UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Error;
use crate::error::shortened;

/// A moment, to the second, in UTC (RFC 3339).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// So many seconds after 1970.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    pub const fn unix_seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Moment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let whole = if text.len() == "2026-12-01".len() {
            format!("{text}T00:00:00Z")
        } else {
            text.to_owned()
        };
        humantime::parse_rfc3339(&whole)
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map(|since| Self(since.as_secs()))
            .ok_or_else(|| Error::Moment {
                found: shortened(text),
            })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The last second of the year 9999, which is as far as the text form goes.
        const LAST: u64 = 253_402_300_799;
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(self.0.min(LAST)));
        humantime::format_rfc3339_seconds(time.unwrap_or(UNIX_EPOCH)).fmt(formatter)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MomentVisitor)
    }
}

struct MomentVisitor;

impl de::Visitor<'_> for MomentVisitor {
    type Value = Moment;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a moment such as 2026-12-01T00:00:00Z, or a day such as 2026-12-01")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_days_are_read_and_written() {
        for (text, seconds, written) in [
            ("1970-01-01", 0, "1970-01-01T00:00:00Z"),
            ("2026-12-01", 1_796_083_200, "2026-12-01T00:00:00Z"),
            (
                "2026-12-01T10:20:30Z",
                1_796_120_430,
                "2026-12-01T10:20:30Z",
            ),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.unix_seconds(), seconds, "{text}");
            assert_eq!(moment.to_string(), written);
            assert_eq!(written.parse::<Moment>().unwrap(), moment);
        }
        for text in [
            "",
            "tomorrow",
            "2026-13-01",
            "2026-12-01 10:00",
            "20261201",
            "2026-12-0ä",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
        assert_eq!(
            Moment::from_unix_seconds(u64::MAX).to_string(),
            "9999-12-31T23:59:59Z"
        );
    }
}

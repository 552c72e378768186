//! Durations and sizes as an operator writes them: `500ms`, `5s`, `2m`, `1h`; `512KiB`, `100MiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Unexpected;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Error;
use crate::error::shortened;

const MAX_MILLISECONDS: u64 = 24 * 60 * 60 * 1000;

/// In descending order, so that the first that divides a duration writes it shortest.
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A duration, written `500ms`, `5s`, `2m` or `1h`; a whole number of milliseconds, at most 24 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(Duration);

impl TimeSpan {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many thousandths of a second.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// As the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for TimeSpan {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (number, unit) = split_unit(text);
        let milliseconds_per_unit = TIME_UNITS.iter().find(|(name, _)| *name == unit);
        let (Some((_, factor)), true) = (milliseconds_per_unit, is_number(number)) else {
            return Err(Error::TimeSpan {
                found: shortened(text),
            });
        };
        // Only digits are left, so a failure means that the number is too large.
        let milliseconds = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*factor));
        match milliseconds {
            Some(milliseconds) if milliseconds <= MAX_MILLISECONDS => {
                Ok(Self::from_millis(milliseconds))
            }
            _ => Err(Error::TimeSpanTooLong {
                found: shortened(text),
            }),
        }
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if milliseconds == 0 {
            return formatter.write_str("0s");
        }
        write_in_units(formatter, milliseconds, &TIME_UNITS)
    }
}

/// A size in bytes, written `4096`, `512KiB`, `100MiB` or `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1024² bytes.
    pub const fn from_mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes.saturating_mul(1024 * 1024))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (number, unit) = split_unit(text);
        let factor = match unit {
            "" => Some(1),
            unit => SIZE_UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .map(|(_, factor)| *factor),
        };
        factor
            .filter(|_| is_number(number))
            .and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| Error::ByteSize {
                found: shortened(text),
            })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return formatter.write_str("0");
        }
        write_in_units(formatter, self.0, &SIZE_UNITS)
    }
}

/// Splits `500ms` before its first character that is no digit.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Writes `amount` in the largest unit that needs no fraction.
fn write_in_units(
    formatter: &mut fmt::Formatter<'_>,
    amount: u64,
    units: &[(&str, u64)],
) -> fmt::Result {
    for (name, factor) in units {
        if amount.checked_rem(*factor) == Some(0) {
            let number = amount.checked_div(*factor).unwrap_or(amount);
            return write!(formatter, "{number}{name}");
        }
    }
    write!(formatter, "{amount}")
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimeSpanVisitor)
    }
}

struct TimeSpanVisitor;

impl de::Visitor<'_> for TimeSpanVisitor {
    type Value = TimeSpan;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration with its unit, such as `500ms`, `5s` or `2m`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeSpan, E> {
        text.parse().map_err(E::custom)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ByteSizeVisitor)
    }
}

struct ByteSizeVisitor;

impl de::Visitor<'_> for ByteSizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a size in bytes, such as `4096`, `512KiB` or `100MiB`")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
        match u64::try_from(bytes) {
            Ok(bytes) => Ok(ByteSize(bytes)),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(bytes), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, milliseconds, written) in [
            ("500ms", 500, "500ms"),
            ("5s", 5_000, "5s"),
            ("300s", 300_000, "5m"),
            ("280s", 280_000, "280s"),
            ("90m", 5_400_000, "90m"),
            ("1h", 3_600_000, "1h"),
            ("24h", 86_400_000, "24h"),
            ("1500ms", 1_500, "1500ms"),
            ("0s", 0, "0s"),
            ("0ms", 0, "0s"),
        ] {
            let span: TimeSpan = text.parse().unwrap();
            assert_eq!(span, TimeSpan::from_millis(milliseconds), "{text}");
            assert_eq!(span.to_string(), written);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_a_reason() {
        for text in [
            "", "5", "s", "5 s", "-5s", "+5s", "1.5s", "5S", "5sec", "5d", "٣s", "5s ",
        ] {
            let message = text.parse::<TimeSpan>().unwrap_err().to_string();
            assert!(message.contains("is no duration"), "{text}: {message}");
        }
        for text in [
            "25h",
            "86400001ms",
            "99999999999999999999999h",
            "18446744073709551615h",
        ] {
            let message = text.parse::<TimeSpan>().unwrap_err().to_string();
            assert!(
                message.contains("the longest duration is 24h"),
                "{text}: {message}"
            );
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, written) in [
            ("0", 0, "0"),
            ("4096", 4096, "4KiB"),
            ("4097", 4097, "4097"),
            ("512KiB", 524_288, "512KiB"),
            ("1024KiB", 1 << 20, "1MiB"),
            ("64MiB", 64 << 20, "64MiB"),
            ("1GiB", 1 << 30, "1GiB"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string(), written);
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_a_reason() {
        for text in [
            "",
            "MiB",
            "1MB",
            "1 MiB",
            "1mib",
            "-1",
            "1.5MiB",
            "99999999999999999999",
            "99999999999999GiB",
        ] {
            let message = text.parse::<ByteSize>().unwrap_err().to_string();
            assert!(message.contains("is no size"), "{text}: {message}");
        }
    }

    #[test]
    fn json_holds_text_and_a_size_may_be_a_number() {
        assert_eq!(
            serde_json::to_string(&TimeSpan::from_secs(5)).unwrap(),
            "\"5s\""
        );
        assert_eq!(
            serde_json::to_string(&ByteSize::from_mebibytes(2)).unwrap(),
            "\"2MiB\""
        );
        assert_eq!(
            serde_json::from_str::<ByteSize>("4096").unwrap().bytes(),
            4096
        );
        assert!(serde_json::from_str::<ByteSize>("-1").is_err());
        assert!(serde_json::from_str::<TimeSpan>("5").is_err());
    }
}

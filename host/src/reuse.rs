//! How long an instance serves: limits with a single value, or a range from which each new instance
//! draws one.

use std::time::Duration;

/// One value, or a range without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread<T> {
    /// Always the same.
    Value(T),
    /// Drawn anew each time.
    Between(T, T),
}

/// Limits of an instance.
#[derive(Debug, Clone, Copy)]
pub struct ReuseLimits {
    /// How many requests an instance serves in its life.
    pub requests: Spread<usize>,
    /// How many requests may await their answer's head in one instance at once.
    pub concurrent_requests: Spread<usize>,
    /// How long an instance without work is kept.
    pub idle: Spread<Duration>,
    /// How long a request may take to its answer's head, and an instance to finish after its last one.
    pub request: Option<Spread<Duration>>,
}

impl Default for ReuseLimits {
    fn default() -> Self {
        Self {
            requests: Spread::Value(128),
            concurrent_requests: Spread::Value(16),
            idle: Spread::Value(Duration::from_secs(1)),
            request: None,
        }
    }
}

impl Spread<usize> {
    /// One value of it.
    pub fn draw(self) -> usize {
        match self {
            Self::Between(from, to) if from < to => fastrand::usize(from..to),
            Self::Value(value) | Self::Between(value, _) => value,
        }
    }
}

impl Spread<Duration> {
    /// One value of it.
    pub fn draw(self) -> Duration {
        match self {
            Self::Between(from, to) if from < to => {
                let part = fastrand::f64();
                from.saturating_add(to.saturating_sub(from).mul_f64(part))
            }
            Self::Value(value) | Self::Between(value, _) => value,
        }
    }
}

/// Reads `128` or `1..8`.
///
/// # Errors
/// A sentence saying what is expected.
pub fn parse_count(text: &str) -> Result<Spread<usize>, String> {
    parse_spread(text, |it| {
        it.parse()
            .map_err(|_| format!("`{text}` is no number and no range such as 1..8"))
    })
}

/// Reads `1s`, `500ms`, `2` (seconds) or `1s..8s`.
///
/// # Errors
/// A sentence saying what is expected.
pub fn parse_duration_spread(text: &str) -> Result<Spread<Duration>, String> {
    parse_spread(text, parse_duration)
}

/// Reads a duration in `s` (also without a suffix), `ms`, `us` or `ns`.
///
/// # Errors
/// A sentence saying what is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number = digits.parse().ok();
    let duration = match text.strip_prefix(digits) {
        Some("" | "s") => number.map(Duration::from_secs),
        Some("ms") => number.map(Duration::from_millis),
        Some("us" | "μs") => number.map(Duration::from_micros),
        Some("ns") => number.map(Duration::from_nanos),
        _ => None,
    };
    duration.ok_or_else(|| format!("`{text}` is no duration such as 30s, 500ms or 1s..8s"))
}

fn parse_spread<T: PartialOrd>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Spread<T>, String> {
    match text.split_once("..") {
        None => Ok(Spread::Value(parse(text)?)),
        Some((from, to)) => {
            let (from, to) = (parse(from)?, parse(to)?);
            if from < to {
                Ok(Spread::Between(from, to))
            } else {
                Err(format!("the range `{text}` is empty"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_ranges_are_read() {
        assert_eq!(parse_count("128"), Ok(Spread::Value(128)));
        assert_eq!(parse_count("1..8"), Ok(Spread::Between(1, 8)));
        assert!(parse_count("8..1").is_err());
        assert!(parse_count("many").is_err());
        assert_eq!(parse_duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(parse_duration("5us"), Ok(Duration::from_micros(5)));
        assert!(parse_duration("5 minutes").is_err());
        assert_eq!(
            parse_duration_spread("1s..2s"),
            Ok(Spread::Between(
                Duration::from_secs(1),
                Duration::from_secs(2)
            ))
        );
    }

    #[test]
    fn draws_stay_in_their_range() {
        for _ in 0..100 {
            assert!((1..8).contains(&Spread::Between(1, 8).draw()));
            let (from, to) = (Duration::from_secs(1), Duration::from_secs(2));
            assert!((from..to).contains(&Spread::Between(from, to).draw()));
        }
        assert_eq!(Spread::Value(3).draw(), 3);
    }
}

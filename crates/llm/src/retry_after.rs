//! How long a provider asks to be left alone.

use std::time::{Duration, UNIX_EPOCH};

use spillway_platform::Headers;

/// `retry-after-ms` (OpenAI, Azure), else `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
pub fn retry_after(headers: &Headers, since_1970: Duration) -> Option<Duration> {
    if let Some(milliseconds) = headers.text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(milliseconds / 1000.0).ok();
    }
    time_of(headers.text("retry-after")?, since_1970)
}

/// Whether clients can make something of a `Retry-After`: some sleep for what they read, and fail on a negative number.
pub(crate) fn is_readable(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| time_of(text, Duration::ZERO).is_some())
}

fn time_of(text: &str, since_1970: Duration) -> Option<Duration> {
    if let Some(seconds) = number(text) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    let at = date.duration_since(UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(since_1970))
}

fn number(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_milliseconds_and_dates_are_read() {
        let now = Duration::from_secs(784_111_777);
        for (fields, expected) in [
            (vec![("retry-after", "120")], Some(120_000)),
            (vec![("retry-after", "0.5")], Some(500)),
            (
                vec![("retry-after", "2"), ("retry-after-ms", "1500")],
                Some(1500),
            ),
            (
                vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")],
                Some(30_000),
            ),
            (
                vec![("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")],
                Some(0),
            ),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "-5")], None),
            (vec![("retry-after", "NaN")], None),
            (vec![("retry-after", "1e300")], None),
            (vec![], None),
        ] {
            let mut headers = Headers::default();
            for (name, value) in &fields {
                headers.append(name, *value);
            }
            assert_eq!(
                retry_after(&headers, now),
                expected.map(Duration::from_millis),
                "{fields:?}"
            );
            if let [("retry-after", value)] = fields.as_slice() {
                assert_eq!(is_readable(value.as_bytes()), expected.is_some(), "{value}");
            }
        }
    }
}

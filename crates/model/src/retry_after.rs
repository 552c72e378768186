//! How long a provider asks to be left alone.

use std::time::{Duration, UNIX_EPOCH};

use spillway_platform::Headers;

/// `retry-after-ms` (OpenAI, Azure), else `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
pub fn retry_after(headers: &Headers, since_1970: Duration) -> Option<Duration> {
    let number = |name: &str| -> Option<f64> {
        let number: f64 = headers.text(name)?.trim().parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some(number)
    };
    let seconds = |number: f64| Duration::try_from_secs_f64(number).ok();
    if let Some(milliseconds) = number("retry-after-ms") {
        return seconds(milliseconds / 1000.0);
    }
    if let Some(number) = number("retry-after") {
        return seconds(number);
    }
    let date = httpdate::parse_http_date(headers.text("retry-after")?.trim()).ok()?;
    let at = date.duration_since(UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(since_1970))
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
        }
    }
}

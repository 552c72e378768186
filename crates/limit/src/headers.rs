//! Telling clients of their quota.
//!
//! The three `X-RateLimit-` fields as Higress has them, where a reset is a number of seconds; `Retry-After`
//! (RFC 9110 §10.2.3); `RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers-10 has them, where
//! `t` is the time until more quota is there.

use crate::{Standing, Verdict};

impl Verdict<'_> {
    /// The header fields of the answer, names in lower case; none where no rule is to be told of. `random` spreads those who
    /// come again: they are told to wait up to a tenth longer.
    pub fn headers(&self, random: u32) -> Vec<(&'static str, String)> {
        let Some(standing) = &self.standing else {
            return Vec::new();
        };
        let Standing {
            rule,
            limit,
            window_s,
            remaining,
            reset_s,
            is_known,
            ..
        } = standing;
        let name = structured_string(&rule.name);
        let policy = match window_s {
            Some(window_s) if rule.tokens.is_some() => {
                format!("{name};q={limit};qu=\"tokens\";w={window_s}")
            }
            Some(window_s) => format!("{name};q={limit};w={window_s}"),
            None => format!("{name};q={limit};qu=\"concurrent-requests\""),
        };
        let mut headers = vec![
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-reset", reset_s.to_string()),
            ("ratelimit-policy", policy),
            ("ratelimit", format!("{name};r={remaining};t={reset_s}")),
        ];
        if !self.passes {
            let spread = reset_s
                .checked_div(10)
                .unwrap_or_default()
                .saturating_add(1);
            let jitter = u64::from(random).checked_rem(spread).unwrap_or_default();
            let jitter = if *is_known { jitter } else { 0 };
            headers.push(("retry-after", reset_s.saturating_add(jitter).to_string()));
        }
        headers
    }
}

impl Verdict<'_> {
    /// The same in OpenAI's own header fields (<https://platform.openai.com/docs/guides/rate-limits>), which tell requests and
    /// tokens apart, and a reset as a duration, `6m0s`.
    pub fn openai_headers(&self) -> Vec<(&'static str, String)> {
        const REQUESTS: [&str; 3] = [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ];
        const TOKENS: [&str; 3] = [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ];
        let mut headers = Vec::new();
        for (names, standing) in [(REQUESTS, &self.requests), (TOKENS, &self.tokens)] {
            let Some(standing) = standing.filter(|it| it.window_s.is_some()) else {
                continue;
            };
            let values = [
                standing.limit.to_string(),
                standing.remaining.to_string(),
                duration(standing.reset_s),
            ];
            headers.extend(names.into_iter().zip(values));
        }
        headers
    }
}

/// As OpenAI writes it: `1s`, `6m0s`, `1h0m0s`.
fn duration(seconds: u64) -> String {
    let (minutes, rest) = (seconds / 60, seconds % 60);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// A String of RFC 9651 §3.3.3, which has printable ASCII alone.
fn structured_string(text: &str) -> String {
    let mut string = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => string.extend(['\\', letter]),
            ' '..='~' => string.push(letter),
            _ => string.push('?'),
        }
    }
    string.push('"');
    string
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_string() {
        assert_eq!(structured_string("demo_rule-1.a"), "\"demo_rule-1.a\"");
        assert_eq!(structured_string("a\"b\\c\r\nü"), "\"a\\\"b\\\\c???\"");
    }
}

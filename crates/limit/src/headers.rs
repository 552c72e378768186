//! Telling clients of their quota.
//!
//! The three `X-RateLimit-` fields as Higress has them, where a reset is a number of seconds; `Retry-After`
//! (RFC 9110 §10.2.3); `RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers-10 has them, where
//! `t` is the time until more quota is there.

use crate::{Standing, Verdict};

impl Verdict<'_> {
    /// The header fields of the answer, names in lower case; none where no rule is to be told of.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let Some(standing) = &self.standing else {
            return Vec::new();
        };
        let Standing {
            rule,
            limit,
            window_s,
            remaining,
            reset_s,
        } = standing;
        let name = structured_string(&rule.name);
        let policy = match window_s {
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
            headers.push(("retry-after", reset_s.to_string()));
        }
        headers
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

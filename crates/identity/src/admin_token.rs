//! The operator's token, for what the gateway tells of itself and has done to it.

use sha2::{Digest as _, Sha256};
use spillway_platform::Headers;
use subtle::ConstantTimeEq as _;

/// What `Authorization: Bearer` must have. Its digest is kept, and compared in constant time, so that neither how long a
/// comparison takes nor what is in memory tells any of it.
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// Of this token, without white space around it; `None` where it is empty, as nobody is let in by nothing.
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (!token.is_empty()).then(|| Self(Sha256::digest(token).into()))
    }

    /// Whether a request brings it.
    pub fn is_in(&self, headers: &Headers) -> bool {
        let mut all = headers.all("authorization");
        let (Some(header), None) = (all.next(), all.next()) else {
            return false;
        };
        let Some((scheme, token)) = header.trim_ascii().split_at_checked(7) else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(token.trim_ascii()).into();
        scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(digest.ct_eq(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_opens_and_nothing_else_does() {
        assert!(AdminToken::new("").is_none() && AdminToken::new("\n").is_none());
        let token = AdminToken::new("secret-1\n").unwrap();
        let sent = |values: &[&str]| {
            let mut headers = Headers::default();
            for value in values {
                headers.append("authorization", *value);
            }
            token.is_in(&headers)
        };
        for value in ["Bearer secret-1", "bearer  secret-1 "] {
            assert!(sent(&[value]), "{value}");
        }
        for value in [
            "secret-1",
            "Bearer",
            "Bearer ",
            "Basic secret-1",
            "Bearer secret-12",
            "Bearer secret-",
        ] {
            assert!(!sent(&[value]), "{value}");
        }
        assert!(!sent(&[]));
        assert!(!sent(&["Bearer secret-1", "Bearer secret-1"]));
    }
}

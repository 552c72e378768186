//! What of a provider's words a client must not see.

use std::sync::OnceLock;

use regex_lite::Regex;
use spillway_failover::Pool;

/// Loopback, private and link-local addresses (RFC 1918, 3927, 6890), with a port where there is one.
const INTERNAL_ADDRESS: &str = r"\b(?:10|127)(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?\b|\b(?:192\.168|169\.254|172\.(?:1[6-9]|2[0-9]|3[01]))(?:\.[0-9]{1,3}){2}(?::[0-9]{1,5})?\b";

/// The text without the provider's keys (some repeat the one they were sent), where its endpoints are, and other
/// internal addresses.
pub(crate) fn redact(text: &str, pool: &Pool) -> String {
    static ADDRESS: OnceLock<Option<Regex>> = OnceLock::new();
    let keys = pool.keys().iter().map(|key| key.secret.as_str());
    // A bare host may be any word, and a vendor's is no secret; with a port it is a machine of the operator's.
    let machines = pool
        .authorities()
        .filter(|authority| authority.contains(':'));
    let text = keys
        .filter(|key| key.len() >= 4)
        .chain(machines)
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
    match ADDRESS.get_or_init(|| Regex::new(INTERNAL_ADDRESS).ok()) {
        Some(address) => address.replace_all(&text, "***").into_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_addresses_are_blotted_out_and_the_rest_stays() {
        let provider = serde_json::from_str(
            r#"{"name":"p","endpoints":["http://vllm:8000/v1","https://api.openai.com/v1"],"api_keys":["sk-12345","ab.cdef.gh"]}"#,
        )
        .unwrap();
        let pool = Pool::new(&provider).unwrap();
        for (text, expected) in [
            ("Incorrect API key sk-12345", "Incorrect API key ***"),
            ("no answer from vllm:8000", "no answer from ***"),
            ("the vllm engine stopped", "the vllm engine stopped"),
            (
                "see https://api.openai.com/docs",
                "see https://api.openai.com/docs",
            ),
            ("connect to 10.0.0.7:8000 failed", "connect to *** failed"),
            ("via 192.168.1.2, 172.20.0.3", "via ***, ***"),
            ("at 8.8.8.8, or 1.10", "at 8.8.8.8, or 1.10"),
            ("key ab.cdef.gh", "key ***"),
        ] {
            assert_eq!(redact(text, &pool), expected);
        }
    }
}

//! What of a provider's words a client must not see.

use std::sync::OnceLock;

use regex::Regex;
use spillway_upstream::Pool;

/// Loopback, private and link-local addresses, with a port where there is one: of IPv4 (RFC 1918, 3927, 6890), of
/// IPv6 in brackets, and of IPv6 bare (RFC 4193, 4291). Before a bare one nothing may stand that it could be the end
/// of; that character is kept. Letters of other scripts stand before and after an address without a space, so the
/// boundaries are ASCII's.
const INTERNAL_ADDRESSES: [(&str, &str); 3] = [
    (
        r"(?-u:\b)(?:10|127)(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?(?-u:\b)|(?-u:\b)(?:192\.168|169\.254|172\.(?:1[6-9]|2[0-9]|3[01]))(?:\.[0-9]{1,3}){2}(?::[0-9]{1,5})?(?-u:\b)",
        "***",
    ),
    (
        r"(?i)\[(?:::1|(?:0{1,4}:){7}0{0,3}1|(?:f[cd][0-9a-f]{2}|fe[89ab][0-9a-f])(?::[0-9a-f]{0,4}){1,7})(?:%[^\]\s]{1,40})?\](?::[0-9]{1,5})?",
        "***",
    ),
    (
        r"(?i)(^|[^0-9a-z:.])(?:::1(?-u:\b)|(?:0{1,4}:){7}0{0,3}1(?-u:\b)|(?:f[cd][0-9a-f]{2}|fe[89ab][0-9a-f])(?::[0-9a-f]{0,4}){2,7}(?:%[0-9a-z_.-]{1,40})?)",
        "${1}***",
    ),
];

/// The text without the provider's keys (some repeat the one they were sent), where its endpoints are, and other
/// internal addresses.
pub(crate) fn redact(text: &str, pool: &Pool) -> String {
    static ADDRESSES: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let keys = pool.keys().iter().map(|key| key.secret.as_str());
    // A bare host may be any word, and a vendor's is no secret; with a port it is a machine of the operator's.
    let machines = pool
        .authorities()
        .filter(|authority| authority.contains(':'));
    let mut secrets: Vec<&str> = keys.filter(|key| key.len() >= 4).chain(machines).collect();
    // Of a key that begins as a shorter one the rest would be left.
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut text = text.to_owned();
    for secret in secrets {
        if text.contains(secret) {
            text = text.replace(secret, "***");
        }
    }
    // Ids of requests, which every answer has, hold no address, and expressions cost an instance a millisecond once.
    if !text.contains(['.', ':']) {
        return text;
    }
    let addresses = ADDRESSES.get_or_init(|| {
        let compiled = |(pattern, instead)| Some((Regex::new(pattern).ok()?, instead));
        INTERNAL_ADDRESSES
            .into_iter()
            .filter_map(compiled)
            .collect()
    });
    addresses.iter().fold(text, |text, (address, instead)| {
        address.replace_all(&text, *instead).into_owned()
    })
}

/// A header field of a provider's answer without its keys; what is no text is as it was.
pub fn redacted_header(value: &[u8], pool: &Pool) -> Vec<u8> {
    match std::str::from_utf8(value) {
        Ok(text) if pool.keys().iter().any(|key| text.contains(&*key.secret)) => {
            redact(text, pool).into_bytes()
        }
        _ => value.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_addresses_are_blotted_out_and_the_rest_stays() {
        let provider = serde_json::from_str(
            r#"{"name":"p","endpoints":["http://vllm:8000/v1","https://api.openai.com/v1"],"api_keys":["sk-12345","ab.cdef.gh","sk-12345-long"]}"#,
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
            ("无法连接到10.0.0.7:8000的服务", "无法连接到***的服务"),
            ("at 8.8.8.8, or 1.10", "at 8.8.8.8, or 1.10"),
            ("key ab.cdef.gh", "key ***"),
            ("key sk-12345-long", "key ***"),
            ("dial [::1]:80: refused", "dial ***: refused"),
            (
                "dial tcp [fe80::1%eth0]:8000, [FD12:3456::1]",
                "dial tcp ***, ***",
            ),
            ("to http://[0:0:0:0:0:0:0:1]/v1", "to http://***/v1"),
            ("::1 fe80::a:1%en0 (fd00:1:2:3:4:5:6:7)", "*** *** (***)"),
            (
                "std::1, 2001:db8::1, 2001:db8:fd00::1, [2606:4700::1]:80",
                "std::1, 2001:db8::1, 2001:db8:fd00::1, [2606:4700::1]:80",
            ),
            ("feed:1, fade: 2, 10:20:30", "feed:1, fade: 2, 10:20:30"),
        ] {
            assert_eq!(redact(text, &pool), expected);
        }
    }

    fn reply_body(reply: spillway_surface::LocalReply) -> Vec<u8> {
        spillway_surface::Surface::OpenAi
            .render(reply)
            .body
            .to_vec()
    }

    #[test]
    fn a_key_is_blotted_out_before_an_error_is_cut() {
        let provider = serde_json::from_str(
            r#"{"name":"p","base_url":"https://p/v1","api_keys":["sk-0123456789"]}"#,
        )
        .unwrap();
        let pool = Pool::new(&provider).unwrap();
        let body = format!("{}sk-0123456789", "x".repeat(492));
        let answer = crate::answer::passed_error(
            http::StatusCode::BAD_GATEWAY,
            &spillway_platform::Headers::default(),
            body.as_bytes(),
            &pool,
        );
        let told = String::from_utf8(reply_body(answer)).unwrap();
        assert!(told.contains("x***") && !told.contains("sk-"), "{told}");
    }

    #[test]
    fn an_error_that_repeats_the_request_is_told_by_its_beginning() {
        let provider = serde_json::from_str(
            r#"{"name":"p","base_url":"https://p/v1","api_keys":["sk-0123456789"]}"#,
        )
        .unwrap();
        let pool = Pool::new(&provider).unwrap();
        let long = format!("sk-0123456789 {}", "too long ".repeat(1 << 20));
        let body = format!(r#"{{"error":{{"message":"{long}"}}}}"#);
        let status = http::StatusCode::BAD_REQUEST;
        let headers = spillway_platform::Headers::default();
        let answer = crate::answer::passed_error(status, &headers, body.as_bytes(), &pool);
        let object =
            crate::answer::error_object(status, &format!(r#"{{"message":"{long}"}}"#), &pool);
        for told in [String::from_utf8(reply_body(answer)).unwrap(), object] {
            assert!(
                told.len() < 1_000 && told.contains("*** too long"),
                "{told}"
            );
            assert!(serde_json::from_str::<serde_json::Value>(&told).is_ok());
        }
    }

    #[test]
    fn a_time_that_cannot_be_read_stays_behind() {
        let provider = serde_json::from_str(r#"{"name":"p","base_url":"https://p/v1"}"#).unwrap();
        let pool = Pool::new(&provider).unwrap();
        for (value, passes) in [("-5", false), ("soon", false), ("5", true)] {
            let mut headers = spillway_platform::Headers::default();
            headers.append("retry-after", value);
            let status = http::StatusCode::TOO_MANY_REQUESTS;
            let answer = crate::answer::passed_error(status, &headers, &[], &pool);
            assert_eq!(answer.headers.contains("retry-after"), passes, "{value}");
        }
    }
}

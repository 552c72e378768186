//! A name for each request, by which its traces at client, gateway and back end are found together.

use spillway_platform::Headers;

/// The header that carries it.
pub const REQUEST_ID: &str = "x-request-id";

/// The longest that a client may choose, in bytes.
const MAX_CHOSEN_BYTES: usize = 128;

/// The client's own where it can go into logs and headers as it is, else `made`.
///
/// Dify's `X-Trace-Id` goes along if the client sent one and is not made: Dify takes the header before a run's
/// `trace_id`, which a made one would overrule.
pub fn request_id(headers: &Headers, made: impl FnOnce() -> String) -> String {
    let kept = headers.text(REQUEST_ID).filter(|id| {
        !id.is_empty()
            && id.len() <= MAX_CHOSEN_BYTES
            && id.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match kept {
        Some(id) => id.to_owned(),
        None => made(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_own_is_kept_if_it_is_one() {
        let made = || "made".to_owned();
        let id = |value: &str| {
            let mut headers = Headers::default();
            headers.append(REQUEST_ID, value);
            request_id(&headers, made)
        };
        assert_eq!(id("abc-1"), "abc-1");
        for value in ["", "a b", "a\tb", "gr\u{fc}n", &"a".repeat(129)] {
            assert_eq!(id(value), made(), "{value:?}");
        }
        assert_eq!(request_id(&Headers::default(), made), made());
    }
}

//! Requests that may be sent once.

use spillway_platform::LIMIT_KEY_PREFIX;

/// What `SET` gets so that a signed request is let through once: `OK` the first time. `once` names the request,
/// `rest_ms` is how much longer its signature is good. The value is `claimant`: whoever is refused, and reads its own
/// name under the key (the first of these), has asked twice.
pub fn nonce_claim_arguments(once: &str, rest_ms: u64, claimant: &str) -> Vec<String> {
    vec![
        format!("spillway:{{nonce:{once}}}:v1"),
        claimant.to_owned(),
        "NX".to_owned(),
        "PX".to_owned(),
        rest_ms.max(1).to_string(),
    ]
}

/// The number to be increased for the same in a store that can do no more: 1 the first time. Removed with the limits'
/// numbers once its time is over; `until_ms` is since 1970, and the same for the same request.
pub fn nonce_number_key(once: &str, until_ms: u64) -> String {
    format!("{LIMIT_KEY_PREFIX}nonce:{once}:until:{until_ms}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number_expires_ms;

    #[test]
    fn a_number_is_removed_when_its_time_is_over() {
        assert_eq!(number_expires_ms(&nonce_number_key("ab12", 77)), Some(77));
    }
}

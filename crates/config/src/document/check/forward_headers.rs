//! Header fields of clients that a provider gets.

use std::collections::BTreeSet;

use crate::PASSED_HEADERS;
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::rate_limit::is_token;

/// Of the connection or the body, not of the call: RFC 9110, sections 7.6.1 and 8, and what came before it.
const OF_THE_CONNECTION: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Written for each provider, or taken from the client where a call needs it.
const OF_THE_GATEWAY: [&str; 7] = [
    "accept",
    "accept-encoding",
    "content-encoding",
    "content-md5",
    "content-type",
    "range",
    "x-request-id",
];

/// With which clients show who they are, here or elsewhere.
const CREDENTIALS: [&str; 9] = [
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-goog-api-key",
];

/// Of where the client is.
const OF_THE_NETWORK: [&str; 2] = ["forwarded", "x-real-ip"];

/// Why a header field, in lower case, cannot be one of a provider's `forward_headers`; `None`: it can.
fn why_not_forwarded(name: &str) -> Option<&'static str> {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if PASSED_HEADERS.contains(&name) {
        Some("goes to every provider anyway: remove it")
    } else if OF_THE_CONNECTION.contains(&name) || begins(&["proxy-", "sec-"]) {
        Some("is about the client's own connection, which the provider does not see: remove it")
    } else if OF_THE_GATEWAY.contains(&name) {
        Some("is seen to by the gateway: remove it")
    } else if CREDENTIALS.contains(&name) || begins(&["x-ca-"]) {
        Some("carries clients' credentials, which are not the provider's: remove it")
    } else if OF_THE_NETWORK.contains(&name) || begins(&["x-forwarded-"]) {
        Some("tells where clients are: remove it")
    } else if begins(&["x-gateway-", "spin-"]) {
        Some("is one of the gateway's own: remove it")
    } else {
        None
    }
}

pub(super) fn check(names: &[String], at: &Path, findings: &mut Findings<'_>) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let at = at.index(index);
        let lower = name.to_ascii_lowercase();
        if !is_token(name) {
            findings.error(&at, format!("`{}` is no header name", shortened(name)));
        } else if let Some(why) = why_not_forwarded(&lower) {
            findings.error(&at, format!("`{}` {why}", shortened(name)));
        } else if !seen.insert(lower) {
            findings.error(&at, "this header is here twice: remove one");
        }
    }
}

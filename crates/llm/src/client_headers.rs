//! Which of a client's header fields reach a provider.

use spillway_config::PASSED_HEADERS;
use spillway_platform::Headers;

/// Those that every provider gets.
pub fn passed_headers(from_client: &Headers) -> Headers {
    picked(from_client, |name| PASSED_HEADERS.contains(&name))
}

/// Those of these names.
pub(crate) fn picked(from_client: &Headers, wanted: impl Fn(&str) -> bool) -> Headers {
    let mut picked = Headers::default();
    for (name, value) in from_client.iter() {
        if wanted(name) {
            picked.append(name, value);
        }
    }
    picked
}

//! Keys that are sent as they are.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use spillway_platform::{Headers, RequestHead};

/// The key that a request carries: `Authorization: Bearer …`, else `x-api-key`, else `api-key`, else the query
/// parameter of this name. An empty one counts as absent: some clients send the header even when they have no key.
pub(crate) fn presented<'r>(
    request: &'r RequestHead,
    query_parameter: Option<&str>,
) -> Option<Cow<'r, [u8]>> {
    in_headers(&request.headers).map(Cow::Borrowed).or_else(|| {
        let (query, wanted) = (request.query()?, query_parameter?);
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.trim().as_bytes().to_vec())
            .filter(|key| !key.is_empty())
            .map(Cow::Owned)
    })
}

fn in_headers(headers: &Headers) -> Option<&[u8]> {
    let bearer = headers.first("authorization").and_then(|value| {
        let value = value.trim_ascii();
        let (scheme, key) = value.split_at_checked(7)?;
        scheme
            .eq_ignore_ascii_case(b"bearer ")
            .then(|| key.trim_ascii())
    });
    [bearer, headers.first("x-api-key"), headers.first("api-key")]
        .into_iter()
        .flatten()
        .map(<[u8]>::trim_ascii)
        .find(|key| !key.is_empty())
}

/// What is kept of a key. Looking a digest up tells nothing of the key by its timing.
pub(crate) fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

//! An upstream's framing, where what it says of it would mislead whoever comes after: hyper has read the body by the
//! rules, and leaves the fields as they came.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use wasmtime_wasi_http::Error;

/// One length at most, and none beside a transfer coding, which counts then (RFC 9112, section 6.3).
///
/// # Errors
/// A transfer coding besides `chunked`: hyper undoes no other, and the component does not see the field.
pub fn mend(headers: &mut HeaderMap) -> Result<(), Error> {
    let codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_left = codings
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("chunked"));
    if is_left {
        return Err(Error::HttpResponseTransferCoding(None));
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    } else if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some()
        && let Some(length) = headers.get(CONTENT_LENGTH).cloned()
    {
        headers.insert(CONTENT_LENGTH, length);
    }
    Ok(())
}

//! An upstream's framing, where what it says of it would mislead whoever comes after: hyper has read the body by the
//! rules, and leaves the fields as they came.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use wasmtime_wasi_http::Error;

/// Where a body ends that hyper takes to go on until the connection is closed: after so many bytes.
pub type EndsAfter = Option<u64>;

/// One length at most, and none beside a transfer coding, which counts then (RFC 9112, section 6.3). The coding
/// `identity` is none; hyper does not look at a length beside it.
///
/// # Errors
/// A transfer coding besides `chunked`: hyper undoes no other, and the component does not see the field.
pub fn repair(headers: &mut HeaderMap) -> Result<EndsAfter, Error> {
    let mut codings: Vec<&str> = Vec::new();
    let mut ends_chunked = false;
    for value in headers.get_all(TRANSFER_ENCODING) {
        let list = value.to_str().unwrap_or("not in ASCII").split(',');
        let is_coding = |it: &&str| !it.is_empty() && !it.eq_ignore_ascii_case("identity");
        for coding in list.map(str::trim).filter(|it| !it.is_empty()) {
            ends_chunked = coding.eq_ignore_ascii_case("chunked");
            codings.extend(Some(coding).filter(is_coding));
        }
    }
    // hyper undoes chunks where they are what is named last.
    let is_left = codings
        .iter()
        .any(|coding| !coding.eq_ignore_ascii_case("chunked"));
    if is_left || (!codings.is_empty() && !ends_chunked) {
        return Err(Error::HttpResponseTransferCoding(None));
    }
    if !codings.is_empty() {
        headers.remove(CONTENT_LENGTH);
        return Ok(None);
    }
    let Some(length) = one_length(headers)? else {
        return Ok(None);
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(headers
        .remove(TRANSFER_ENCODING)
        .is_some()
        .then_some(length))
}

/// The length that all fields name, and all in a list.
fn one_length(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut lengths = headers
        .get_all(CONTENT_LENGTH)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("not in ASCII").split(','))
        .map(|length| length.trim().parse::<u64>());
    let Some(Ok(first)) = lengths.next() else {
        return match headers.get(CONTENT_LENGTH) {
            None => Ok(None),
            Some(_) => Err(Error::HttpProtocolError),
        };
    };
    if lengths.any(|length| length != Ok(first)) {
        return Err(Error::HttpProtocolError);
    }
    Ok(Some(first))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    fn repaired(fields: &[(HeaderName, &'static str)]) -> Option<(Option<String>, EndsAfter)> {
        let mut headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        let ends_after = repair(&mut headers).ok()?;
        let length = headers.get(CONTENT_LENGTH);
        let length = length.map(|it| it.to_str().unwrap_or_default().to_owned());
        Some((length, ends_after))
    }

    #[test]
    fn what_is_left_says_one_thing() {
        let five = || Some("5".to_owned());
        let length = |value| (CONTENT_LENGTH, value);
        let coding = |value| (TRANSFER_ENCODING, value);
        for (fields, expected) in [
            (vec![], Some((None, None))),
            (vec![length("5"), length("5")], Some((five(), None))),
            (vec![length("5, 5")], Some((five(), None))),
            (vec![length("5, 6")], None),
            (vec![length("five")], None),
            (vec![length("500"), coding("Chunked")], Some((None, None))),
            (vec![coding("gzip, chunked")], None),
            (vec![coding("chunked, identity")], None),
            (vec![coding("chunked"), coding("identity")], None),
            (vec![coding("identity")], Some((None, None))),
            (
                vec![length("5"), coding("identity")],
                Some((five(), Some(5))),
            ),
            (
                vec![length("5"), coding("identity, chunked")],
                Some((None, None)),
            ),
        ] {
            assert_eq!(repaired(&fields), expected, "{fields:?}");
        }
    }
}

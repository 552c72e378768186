//! What is not JSON by RFC 8259, though clients take it for JSON.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

/// What is longer is taken as it stands or not at all: mending may make six bytes of one.
const MAX_MENDED_BYTES: usize = 4 * 1024 * 1024;

/// The document as RFC 8259 has it: as it stands where it is that already.
pub fn sound(document: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_json = |document: &[u8]| serde_json::from_slice::<&RawValue>(document).is_ok();
    if is_json(document) {
        return Some(Cow::Borrowed(document));
    }
    if document.len() > MAX_MENDED_BYTES {
        return None;
    }
    let mended = mended(document);
    is_json(&mended).then_some(Cow::Owned(mended))
}

/// A document as a tree.
pub fn value(document: &[u8]) -> Option<Value> {
    match serde_json::from_slice(document) {
        Ok(value) => Some(value),
        Err(_) if document.len() > MAX_MENDED_BYTES => None,
        Err(_) => serde_json::from_slice(&mended(document)).ok(),
    }
}

/// With numbers that are none as null, halves of characters and control characters as text. What is wrong in any other
/// way stays so.
pub(crate) fn mended(document: &[u8]) -> Vec<u8> {
    let document = String::from_utf8_lossy(document);
    let mut rest = document.as_bytes();
    let mut mended = Vec::with_capacity(rest.len());
    let mut is_text = false;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                is_text = !is_text;
                mended.push(byte);
            }
            b'\\' if is_text => rest = escape(after, &mut mended),
            ..0x20 if is_text => mended.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            b'N' | b'I' | b'-' if !is_text => {
                let word = ["NaN", "Infinity", "-Infinity"]
                    .into_iter()
                    .find_map(|word| {
                        after
                            .strip_prefix(word.get(1..)?.as_bytes())
                            .filter(|_| word.as_bytes().first() == Some(&byte))
                    });
                match word {
                    Some(after) => {
                        mended.extend_from_slice(b"null");
                        rest = after;
                    }
                    None => mended.push(byte),
                }
            }
            _ => mended.push(byte),
        }
    }
    mended
}

/// Writes the escape that begins here, and gives what comes after it.
fn escape<'a>(after: &'a [u8], mended: &mut Vec<u8>) -> &'a [u8] {
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (length, sound): (usize, bool) = match unit(after) {
        Some(0xd800..=0xdbff) => {
            let second = after
                .get(5..)
                .and_then(|more| unit(more.strip_prefix(b"\\")?));
            match second {
                Some(0xdc00..=0xdfff) => (11, true),
                _ => (5, false),
            }
        }
        Some(0xdc00..=0xdfff) => (5, false),
        Some(_) => (5, true),
        None => (1, true),
    };
    let (escaped, rest) = after.split_at(length.min(after.len()));
    if sound {
        mended.push(b'\\');
        mended.extend_from_slice(escaped);
    } else {
        mended.extend_from_slice(br"\ufffd");
    }
    rest
}

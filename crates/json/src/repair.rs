//! What is not JSON by RFC 8259, though clients take it for JSON.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

/// So much longer a document may become: of one byte that is no text six are made.
const MAX_GROWTH_BYTES: usize = 1024 * 1024;

/// The document as RFC 8259 has it: as it stands where it is that already.
pub fn sound(document: &[u8]) -> Option<Cow<'_, [u8]>> {
    let document = without_mark(document);
    let is_json = |document: &[u8]| serde_json::from_slice::<&RawValue>(document).is_ok();
    if is_json(document) {
        return Some(Cow::Borrowed(document));
    }
    repaired(document)
        .filter(|repaired| is_json(repaired))
        .map(Cow::Owned)
}

/// The same, its texts too: halves of characters, which RFC 8259 lets be written but no text can hold, are replaced.
pub fn sound_texts(document: &[u8]) -> Option<Cow<'_, [u8]>> {
    let document = without_mark(document);
    // The escapes of halves begin so, and those of few other characters.
    let has_halves = memchr::memchr_iter(b'\\', document).any(|place| {
        let escape = document.get(place..place.saturating_add(3));
        escape.is_some_and(|escape| escape.eq_ignore_ascii_case(b"\\ud"))
    });
    if !has_halves {
        return sound(document);
    }
    let repaired = repaired(document)?;
    serde_json::from_slice::<&RawValue>(&repaired)
        .is_ok()
        .then_some(Cow::Owned(repaired))
}

/// A document as a tree.
pub fn value(document: &[u8]) -> Option<Value> {
    let document = without_mark(document);
    serde_json::from_slice(document)
        .ok()
        .or_else(|| serde_json::from_slice(&repaired(document)?).ok())
}

/// Python and JavaScript both pass over a byte-order mark.
pub fn without_mark(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(document)
}

/// With numbers that are none, or larger than any, as null; halves of characters, control characters and bytes that are
/// no UTF-8 as text. What is wrong in any other way stays so. `None` where it would grow by more than
/// [`MAX_GROWTH_BYTES`].
pub(crate) fn repaired(document: &[u8]) -> Option<Vec<u8>> {
    let mut repaired = Repaired {
        out: Vec::with_capacity(document.len()),
        is_text: false,
        number: None,
    };
    let max = document.len().saturating_add(MAX_GROWTH_BYTES);
    for part in document.utf8_chunks() {
        repaired.take(part.valid().as_bytes(), max)?;
        if !part.invalid().is_empty() {
            repaired.out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    Some(repaired.out)
}

/// What is written so far.
struct Repaired {
    out: Vec<u8>,
    /// Within a string.
    is_text: bool,
    /// Where the number begins that is being written.
    number: Option<usize>,
}

impl Repaired {
    fn take(&mut self, mut rest: &[u8], max: usize) -> Option<()> {
        while let Some((&byte, after)) = rest.split_first() {
            if self.out.len() > max {
                return None;
            }
            rest = if self.is_text {
                self.in_text(byte, rest, after)
            } else {
                self.outside(byte, after)
            };
        }
        Some(())
    }

    fn in_text<'a>(&mut self, byte: u8, rest: &'a [u8], after: &'a [u8]) -> &'a [u8] {
        match byte {
            b'"' => {
                self.is_text = false;
                self.out.push(byte);
                after
            }
            b'\\' => escape(after, &mut self.out),
            ..0x20 => {
                let digit = |nibble: u8| b"0123456789abcdef".get(usize::from(nibble)).copied();
                self.out.extend_from_slice(b"\\u00");
                self.out.extend(digit(byte >> 4));
                self.out.extend(digit(byte & 15));
                after
            }
            _ => {
                let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | ..0x20);
                let end = rest.iter().position(|byte| !is_plain(byte));
                let (plain, after) = rest.split_at(end.unwrap_or(rest.len()));
                self.out.extend_from_slice(plain);
                after
            }
        }
    }

    fn outside<'a>(&mut self, byte: u8, after: &'a [u8]) -> &'a [u8] {
        let is_in_number =
            byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let begin = is_in_number.then(|| self.number.unwrap_or(self.out.len()));
        self.number = begin;
        match byte {
            b'"' => self.is_text = true,
            b'N' | b'I' | b'-' => {
                if let Some(after) = word(byte, after) {
                    self.out.extend_from_slice(b"null");
                    self.number = None;
                    return after;
                }
            }
            b'e' | b'E' => {
                // Larger than any number: infinity to Python and JavaScript, which JSON has no word for.
                if let (Some(begin), Some(after)) = (begin, large_exponent(after)) {
                    self.out.truncate(begin);
                    self.out.extend_from_slice(b"null");
                    self.number = None;
                    return after;
                }
            }
            _ => {}
        }
        self.out.push(byte);
        after
    }
}

/// What comes after a number that is none, which begins with this byte.
fn word(byte: u8, after: &[u8]) -> Option<&[u8]> {
    ["NaN", "Infinity", "-Infinity"]
        .into_iter()
        .find_map(|word| {
            let (first, others) = word.as_bytes().split_first()?;
            after.strip_prefix(others).filter(|_| *first == byte)
        })
}

/// What comes after a positive exponent of three digits or more.
fn large_exponent(after: &[u8]) -> Option<&[u8]> {
    let digits = after.strip_prefix(b"+").unwrap_or(after);
    let end = digits.iter().position(|byte| !byte.is_ascii_digit());
    let (digits, after) = digits.split_at(end.unwrap_or(digits.len()));
    (digits.len() >= 3).then_some(after)
}

/// Writes the escape that begins here, and gives what comes after it.
fn escape<'a>(after: &'a [u8], repaired: &mut Vec<u8>) -> &'a [u8] {
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
        repaired.push(b'\\');
        repaired.extend_from_slice(escaped);
    } else {
        repaired.extend_from_slice(br"\ufffd");
    }
    rest
}

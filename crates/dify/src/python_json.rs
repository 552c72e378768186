//! JSON as Python's `json` takes it: in any Unicode encoding, with `NaN` and `Infinity`, the last of equal names.
//!
//! What Python takes is read as Python reads it. What it refuses may be read or not, as Dify refuses it as well.

use std::borrow::Cow;

/// Stands for half of a character, which Python keeps and UTF-8 cannot hold.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The body in UTF-8, without a mark of its byte order. The encoding is told from the first bytes, as
/// `json.detect_encoding` does. What passes for UTF-8 is not looked through: it may be anything.
pub(crate) fn utf8(body: &[u8]) -> Option<Cow<'_, [u8]>> {
    let owned = |text: Option<String>| text.map(|text| Cow::Owned(text.into_bytes()));
    match body {
        [0, 0, 0xfe, 0xff, rest @ ..] => owned(utf32(rest, u32::from_be_bytes)),
        [0xff, 0xfe, 0, 0, rest @ ..] => owned(utf32(rest, u32::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => owned(utf16(rest, u16::from_be_bytes)),
        [0xff, 0xfe, rest @ ..] => owned(utf16(rest, u16::from_le_bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] => Some(Cow::Borrowed(rest)),
        // Without a mark the zeros of the first characters tell, which are ASCII.
        [0, 0, _, _, ..] => owned(utf32(body, u32::from_be_bytes)),
        [0, _, _, _, ..] => owned(utf16(body, u16::from_be_bytes)),
        [_, 0, 0, 0, ..] => owned(utf32(body, u32::from_le_bytes)),
        [_, 0, _, _, ..] => owned(utf16(body, u16::from_le_bytes)),
        _ => Some(Cow::Borrowed(body)),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks();
    let units = pairs.iter().map(|pair| unit(*pair));
    let text = char::decode_utf16(units).map(|letter| letter.unwrap_or(REPLACEMENT));
    rest.is_empty().then(|| text.collect())
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<String> {
    let (quads, rest) = bytes.as_chunks();
    let units = quads.iter().map(|quad| unit(*quad));
    let text = units.map(|unit| char::from_u32(unit).unwrap_or(REPLACEMENT));
    rest.is_empty().then(|| text.collect())
}

/// The value of the object's last member of this name, as it is written.
pub(crate) fn last_member<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut scanner = Scanner(text);
    let mut last = None;
    scanner.expect(b'{')?;
    loop {
        scanner.skip_space();
        let key = scanner.string()?;
        scanner.expect(b':')?;
        scanner.skip_space();
        let value = scanner.value()?;
        if string(key).is_some_and(|key| key == name) {
            last = Some(value);
        }
        if scanner.expect(b',').is_none() {
            scanner.expect(b'}')?;
            return last;
        }
    }
}

/// What is written between these quotes; `None` where it holds half of a character.
pub(crate) fn string(written: &[u8]) -> Option<String> {
    serde_json::from_slice(written).ok()
}

/// What is still to be read.
struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    fn skip_space(&mut self) {
        let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let length = self.0.iter().position(is_text).unwrap_or(self.0.len());
        self.0 = self.0.get(length..).unwrap_or_default();
    }

    /// Takes this byte, and the space before it.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        let (first, rest) = self.0.split_first()?;
        if *first != byte {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    /// A text, quotes included.
    fn string(&mut self) -> Option<&'a [u8]> {
        if self.0.first() != Some(&b'"') {
            return None;
        }
        let mut in_text = InText::default();
        let end = self.0.iter().position(|byte| !in_text.goes_on(*byte))?;
        self.take(end.saturating_add(1))
    }

    /// A value, as it is written.
    fn value(&mut self) -> Option<&'a [u8]> {
        match self.0.first()? {
            b'"' => self.string(),
            b'{' | b'[' => {
                let mut in_text = InText::default();
                let mut depth = 0_usize;
                let end = self.0.iter().position(|byte| {
                    let was_outside = !in_text.inside;
                    in_text.goes_on(*byte);
                    if was_outside {
                        match byte {
                            b'{' | b'[' => depth = depth.saturating_add(1),
                            b'}' | b']' => depth = depth.saturating_sub(1),
                            _ => {}
                        }
                    }
                    depth == 0
                })?;
                self.take(end.saturating_add(1))
            }
            _ => {
                let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
                let end = self.0.iter().position(is_end)?;
                self.take(end)
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}

/// Whether the bytes that go by stand in a text.
#[derive(Default)]
struct InText {
    inside: bool,
    escaped: bool,
}

impl InText {
    /// Sees the next byte; whether the one after it is inside a text.
    fn goes_on(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = self.inside,
            b'"' => self.inside = !self.inside,
            _ => {}
        }
        self.inside
    }
}

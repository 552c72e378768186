//! JSON as clients read it: Python's `json` and JavaScript's `JSON.parse` together, and in doubt the gentler one.
//!
//! **Rule.** The last of equal names counts. `NaN` and the infinities are numbers (Python writes them), a half of a
//! character is a character (JavaScript cuts strings so), control characters and bytes that are no UTF-8 are text. None
//! of that may cost the client an answer that it could have read.
//! **Cost.** What is JSON by RFC 8259 is read as it stands. The rest is copied once, mended.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// An object's members in order, values unread.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// `None` where it is no object.
    pub(crate) fn of(value: &'a RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }

    /// The value of the last member of this name, unless it is null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let last = self.0.iter().rev().find(|(own, _)| own == name);
        last.map(|(_, value)| *value)
            .filter(|value| value.get() != "null")
    }

    /// Whether there is a member of this name, be it null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A member's name, borrowed where it holds no escapes (serde's own `Cow` never borrows).
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a member name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The elements of a list; none of what is no list.
pub(crate) fn elements(value: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(value.get()).unwrap_or_default()
}

/// The text of a string.
pub(crate) fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get())
        .or_else(|_| serde_json::from_slice(&mended(value.get().as_bytes())))
        .ok()
}

/// A number, also one that is written as text or with a fraction: choices and tool calls are numbered so.
pub(crate) fn index(value: &RawValue) -> Option<i64> {
    let written = value.get().trim_matches('"').trim();
    if let Ok(whole) = written.parse() {
        return Some(whole);
    }
    let number: f64 = written
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())?;
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
    Some(number as i64)
}

/// Whether it says anything: not null, nor empty.
pub(crate) fn is_filled(value: &RawValue) -> bool {
    let written = value.get();
    let inside = |open, close| {
        let inner = written.strip_prefix(open)?.strip_suffix(close)?;
        Some(inner.trim_ascii().is_empty())
    };
    let is_empty = inside('[', ']')
        .or_else(|| inside('{', '}'))
        .unwrap_or(false);
    !is_empty && !matches!(written, "null" | "\"\"")
}

/// The document as RFC 8259 has it: as it stands where it is that already.
pub(crate) fn sound(document: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_json = |document: &[u8]| serde_json::from_slice::<&RawValue>(document).is_ok();
    if is_json(document) {
        return Some(Cow::Borrowed(document));
    }
    let mended = mended(document);
    is_json(&mended).then_some(Cow::Owned(mended))
}

/// A document as a tree.
pub(crate) fn value(document: &[u8]) -> Option<Value> {
    serde_json::from_slice(document)
        .or_else(|_| serde_json::from_slice(&mended(document)))
        .ok()
}

/// With numbers that are none as null, halves of characters and control characters as text. What is wrong in any other
/// way stays so.
fn mended(document: &[u8]) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_clients_read_is_read() {
        for (written, read) in [
            (
                r#"{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN"}"#,
                r#"{"a":null,"b":[null,null],"c":"NaN"}"#,
            ),
            (
                r#"{"a":"\ud83d","b":"\ud83d\ude00","c":"\ude00x\\ud83d"}"#,
                r#"{"a":"\ufffd","b":"😀","c":"\ufffdx\\ud83d"}"#,
            ),
            ("{\"a\":\"x\ty\"}", r#"{"a":"x\ty"}"#),
            (r#"{"a":-1,"a":2}"#, r#"{"a":2}"#),
        ] {
            let expected: Value = serde_json::from_str(read).unwrap();
            assert_eq!(
                value(written.as_bytes()),
                Some(expected.clone()),
                "{written}"
            );
            let sound = sound(written.as_bytes()).unwrap();
            assert_eq!(value(&sound), Some(expected), "{written}");
        }
        assert_eq!(
            value(b"{\"a\":\"\xff\"}"),
            Some(serde_json::json!({"a": "\u{fffd}"}))
        );
        for broken in [
            "{oops",
            "{\"a\":\"\\u12\"}",
            "{\"a\":Nan}",
            "",
            "{\"a\":\"\\",
        ] {
            assert_eq!(sound(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn the_last_of_equal_names_counts_and_numbers_are_numbers() {
        let raw: &RawValue =
            serde_json::from_str(r#"{"a":1,"\u0061":"2","b":null,"c":{ }}"#).unwrap();
        let members = Members::of(raw).unwrap();
        assert_eq!(members.get("a").and_then(index), Some(2));
        assert!(members.get("b").is_none() && members.has("b"));
        assert!(!is_filled(members.get("c").unwrap()));
        for (written, expected) in [
            ("0", Some(0)),
            ("0.0", Some(0)),
            ("\"1\"", Some(1)),
            ("-1", Some(-1)),
            ("true", None),
        ] {
            let raw: &RawValue = serde_json::from_str(written).unwrap();
            assert_eq!(index(raw), expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn what_is_json_stays_as_it_is(value: Vec<(String, i64)>) {
            let document = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(super::value(&document), serde_json::from_slice(&document).ok());
            prop_assert_eq!(mended(&document), document);
        }

        #[test]
        fn any_bytes_are_read_or_not(document: Vec<u8>) {
            let _ = sound(&document);
        }
    }
}

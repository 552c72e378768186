//! JSON as clients read it: Python's `json` and JavaScript's `JSON.parse` together, and in doubt the gentler one.
//! Must not know whose JSON it is, nor what it means.
//!
//! **Rule.** The last of equal names counts. `NaN` and the infinities are numbers (Python writes them), a half of a
//! character is a character (JavaScript cuts strings so), control characters and bytes that are no UTF-8 are text. None
//! of that may cost the client an answer that it could have read.
//! **Cost.** What is JSON by RFC 8259 is read as it stands. The rest is copied once, repaired.

mod repair;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use repair::repaired;
pub use repair::{sound, sound_texts, value, without_mark};

/// More members than any object of an API has, and more elements than any list whose elements are looked at: of a longer
/// one the rest is passed over.
const MAX_PARTS: usize = 4096;

/// An object's members in order, values unread.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// `None` where it is no object.
    pub fn of(value: &'a RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }

    /// The value of the last member of this name, unless it is null.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let last = self.0.iter().rev().find(|(own, _)| own == name);
        last.map(|(_, value)| *value)
            .filter(|value| value.get() != "null")
    }

    /// The object, each value as `write` has it, who leaves one out with `None`.
    pub fn written<V: AsRef<str>>(
        &self,
        write: impl Fn(&str, &'a RawValue) -> Option<V>,
    ) -> String {
        let mut object = String::from("{");
        for (name, value) in self.iter() {
            if let Some(value) = write(name, value) {
                if object.len() > 1 {
                    object.push(',');
                }
                object.push_str(&serde_json::Value::from(name).to_string());
                object.push(':');
                object.push_str(value.as_ref());
            }
        }
        object.push('}');
        object
    }

    /// All of them, as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
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
                    if members.len() < MAX_PARTS {
                        members.push((name, value));
                    }
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
pub fn elements(value: &RawValue) -> Vec<&RawValue> {
    let elements: Option<Elements<'_>> = serde_json::from_str(value.get()).ok();
    elements.map(|Elements(list)| list).unwrap_or_default()
}

struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Elements<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
                let mut elements = Vec::new();
                while let Some(element) = list.next_element()? {
                    if elements.len() < MAX_PARTS {
                        elements.push(element);
                    }
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// The text of a string.
pub fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get())
        .ok()
        .or_else(|| serde_json::from_slice(&repaired(value.get().as_bytes())?).ok())
}

/// A number, also one that is written as text or with a fraction: choices and tool calls are numbered so.
pub fn index(value: &RawValue) -> Option<i64> {
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
pub fn is_filled(value: &RawValue) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use serde_json::Value;

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
            (
                r#"{"a":-1.5e+999,"b":[NaN,1e5,2E400],"c":"1e999"}"#,
                r#"{"a":null,"b":[null,1e5,null],"c":"1e999"}"#,
            ),
            ("\u{feff}{\"a\":1}", r#"{"a":1}"#),
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
        assert!(members.get("b").is_none());
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

    #[test]
    fn what_grows_beyond_measure_is_not_repaired() {
        for byte in ["\u{1}", "\u{80}"] {
            let long = format!("{{\"a\":\"{}\"}}", byte.repeat(600_000));
            let wrong: Vec<u8> = long.bytes().filter(|byte| *byte != 0xc2).collect();
            assert_eq!(sound(&wrong), None);
            assert_eq!(value(&wrong), None);
        }
        let long = format!("{{\"a\":NaN,\"b\":\"{}\"}}", "x".repeat(8 << 20));
        assert!(sound(long.as_bytes()).is_some());
    }

    #[test]
    fn of_lists_and_objects_without_end_the_beginning_is_read() {
        let list = format!("[{}0]", "0,".repeat(100_000));
        let raw: &RawValue = serde_json::from_str(&list).unwrap();
        assert_eq!(elements(raw).len(), MAX_PARTS);
        let object = format!("{{{}\"a\":0}}", "\"b\":0,".repeat(100_000));
        let raw: &RawValue = serde_json::from_str(&object).unwrap();
        assert_eq!(Members::of(raw).unwrap().iter().count(), MAX_PARTS);
    }

    proptest! {
        #[test]
        fn what_is_json_stays_as_it_is(value: Vec<(String, i64)>) {
            let document = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(super::value(&document), serde_json::from_slice(&document).ok());
            prop_assert_eq!(repaired(&document), Some(document));
        }

        #[test]
        fn any_bytes_are_read_or_not(document: Vec<u8>) {
            let _ = sound(&document);
        }
    }
}

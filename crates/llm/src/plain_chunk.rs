//! The chunk that nearly all of a stream consists of, read in one pass: one choice that says something and goes on.
//!
//! **Rule.** What has a member that might mean more, or one in another form, is none, though it may be a chunk: then it
//! is read member by member ([`crate::said`]). **Guarantee.** Of a plain chunk both ways say the same, but for one of more
//! than 4,096 members, of which the other way looks at the first alone. **Cost.** Some six tenths of what the
//! other way takes.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// What the gateway needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainChunk {
    /// Which of the choices.
    pub index: i64,
    /// Whether it has something of the answer itself, not thoughts alone.
    pub answers: bool,
}

impl PlainChunk {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        let Object(chunk): Object<Chunk> = serde_json::from_str(text).ok()?;
        let (Object(Choice { index, delta, .. }),) = chunk.choices;
        let Object(delta) = delta;
        let (Says(answers), Says(thinks)) = (delta.content, delta.reasoning_content);
        (answers || thinks).then_some(Self {
            index: i64::from(index),
            answers,
        })
    }
}

/// `()` is null or not there. Members that are not named here mean nothing to the gateway beside these.
#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Chunk {
    choices: (Object<Choice>,),
    #[serde(default)]
    usage: (),
    #[serde(default)]
    error: (),
    #[serde(default)]
    base_resp: (),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Choice {
    #[serde(default)]
    index: u16,
    delta: Object<Delta>,
    #[serde(default)]
    finish_reason: (),
    #[serde(default)]
    text: (),
    #[serde(default)]
    message: (),
    #[serde(default)]
    error: (),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Delta {
    #[serde(default)]
    content: Says,
    #[serde(default)]
    reasoning_content: Says,
    #[serde(default)]
    tool_calls: (),
    #[serde(default)]
    function_call: (),
    #[serde(default)]
    refusal: (),
    #[serde(default)]
    audio: (),
    #[serde(default)]
    images: (),
    #[serde(default)]
    error: (),
}

/// Whether there is text: not null, nor empty.
#[derive(Default)]
struct Says(bool);

impl<'de> Deserialize<'de> for Says {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Says;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text or null")
            }

            fn visit_str<E>(self, text: &str) -> Result<Says, E> {
                Ok(Says(!text.is_empty()))
            }

            fn visit_unit<E>(self) -> Result<Says, E> {
                Ok(Says(false))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// What serde reads of an object alone: derived readers take a list for one, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Object<T>, M::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests;

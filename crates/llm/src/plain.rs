//! What nearly all providers send nearly always, read in one pass into types. Whatever is otherwise is none of it, and is
//! read member by member ([`crate::said`]), which says the same of these.

mod answer;
mod chunk;
#[cfg(test)]
mod samples;
mod template;

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use spillway_tokens::{Hundredths, weigh, weigh_text};

pub(crate) use answer::plain_answer;
pub(crate) use chunk::PlainChunk;
pub(crate) use template::ChunkTemplate;

/// A text, if it is neither null nor empty.
#[derive(Default)]
pub(super) enum Says<'d> {
    #[default]
    Nothing,
    /// As it stands in the document.
    Text(&'d str),
    /// Written with escapes; it weighs so much.
    Escaped(Hundredths),
}

impl Says<'_> {
    /// In hundredths of a token.
    fn weight(&self) -> Hundredths {
        match self {
            Self::Nothing => 0,
            Self::Text(text) => weigh(text.as_bytes()),
            Self::Escaped(weight) => *weight,
        }
    }
}

impl<'de: 'd, 'd> Deserialize<'de> for Says<'d> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Says<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text or null")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Says<'de>, E> {
                Ok(if text.is_empty() {
                    Says::Nothing
                } else {
                    Says::Text(text)
                })
            }

            fn visit_str<E>(self, text: &str) -> Result<Says<'de>, E> {
                Ok(if text.is_empty() {
                    Says::Nothing
                } else {
                    Says::Escaped(weigh_text(text))
                })
            }

            fn visit_unit<E>(self) -> Result<Says<'de>, E> {
                Ok(Says::Nothing)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// What serde reads of an object alone: derived readers take a list for one, too.
pub(super) struct Object<T>(pub T);

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

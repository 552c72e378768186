//! From the tree to the types: serde over nodes, with mistakes that know their path and speak to operators.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::node::{Content, Node, NodeEntry, Path, PathStep};
use super::suggestion::{list, nearest};
use crate::error::shortened;

/// Why a node does not fit its type.
#[derive(Debug)]
pub(super) struct Mistake {
    pub kind: MistakeKind,
    /// From the mistake outwards.
    steps: Vec<PathStep>,
}

#[derive(Debug)]
pub(super) enum MistakeKind {
    /// A key that means nothing here.
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    /// A mapping lacks this key.
    MissingKey(&'static str),
    /// Anything else, told.
    Value(String),
}

impl Mistake {
    fn new(kind: MistakeKind) -> Self {
        Self {
            kind,
            steps: Vec::new(),
        }
    }

    /// The value that does not fit. For an unknown key the value under it.
    pub fn path(&self) -> Path {
        Path::from_innermost(self.steps.clone())
    }

    fn at(mut self, step: PathStep) -> Self {
        self.steps.push(step);
        self
    }
}

impl MistakeKind {
    /// The known key that was probably meant.
    pub fn meant(&self) -> Option<&'static str> {
        match self {
            Self::UnknownKey { key, known } => nearest(key, known.iter().copied()),
            Self::MissingKey(_) | Self::Value(_) => None,
        }
    }
}

impl fmt::Display for MistakeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, known } => {
                write!(formatter, "unknown key `{}`, ", shown_key(key))?;
                match self.meant() {
                    Some(meant) => write!(formatter, "did you mean `{meant}`?"),
                    None => write!(formatter, "known here: {}", list(known.iter().copied())),
                }
            }
            Self::MissingKey(key) => write!(formatter, "`{key}` is missing here: add it"),
            Self::Value(message) => formatter.write_str(message),
        }
    }
}

/// The key, but of one that can be a secret in the wrong place only the beginning.
fn shown_key(key: &str) -> String {
    const MAX_SHOWN: usize = 4;
    let is_word = |part: &str| part.chars().all(|letter| letter.is_ascii_lowercase());
    let is_name = key.len() <= 40 && key.split(['_', '-', '.']).all(is_word);
    let is_short = key.len() <= 16 && !key.starts_with("sk-") && !key.starts_with("app-");
    if is_name || is_short {
        return shortened(key);
    }
    let beginning: String = key.chars().take(MAX_SHOWN).collect();
    format!("{beginning}…")
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(formatter)
    }
}

impl std::error::Error for Mistake {}

// No message shows a value of unknown meaning: it may be a secret in the wrong place.
impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(MistakeKind::Value(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = expected.to_string();
        let expected = match expected.as_str() {
            "a string" => "text",
            "a sequence" => "a list",
            "a map" => "a mapping",
            "a boolean" => "`true` or `false`",
            "u16" | "u32" | "u64" => "a whole number",
            other => other,
        };
        let (found, advice) = match found {
            Unexpected::Unit | Unexpected::Option => {
                return Self::custom(format_args!(
                    "no value: expected {expected}; or leave the key out"
                ));
            }
            Unexpected::Bool(_) if expected == "text" => ("a truth value", ": put it in quotes"),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_)
                if expected == "text" =>
            {
                ("a number", ": put it in quotes")
            }
            Unexpected::Bool(_) => ("a truth value", ""),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => {
                ("a number", "")
            }
            Unexpected::Seq => ("a list", ""),
            Unexpected::Map => ("a mapping", ""),
            Unexpected::Str(_) if expected == "a list" => (
                "text",
                ": write `[…]` around it, or begin its line with `- `",
            ),
            _ => ("text", ""),
        };
        Self::custom(format_args!("expected {expected}, found {found}{advice}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = expected.to_string();
        let expected = match expected.as_str() {
            "u16" => "a whole number from 0 to 65535",
            "u32" => "a whole number from 0 to 4294967295",
            "u64" => "a whole number",
            other => other,
        };
        Self::custom(format_args!("expected {expected}"))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let known = known.iter().copied();
        let variant_shown = shortened(variant);
        Self::custom(match nearest(variant, known.clone()) {
            Some(meant) => format!("unknown value `{variant_shown}`, did you mean `{meant}`?"),
            None => format!(
                "unknown value `{variant_shown}`, allowed are: {}",
                list(known)
            ),
        })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(MistakeKind::UnknownKey {
            key: key.to_owned(),
            known,
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(MistakeKind::MissingKey(key))
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.content {
            Content::Null | Content::Dropped => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Unsigned(number) => visitor.visit_u64(*number),
            Content::Signed(number) => visitor.visit_i64(*number),
            Content::Float(number) => visitor.visit_f64(*number),
            Content::Text(text) => visitor.visit_borrowed_str(text),
            Content::List(nodes) => visitor.visit_seq(Items {
                nodes: nodes.iter().enumerate(),
            }),
            Content::Map(entries) => visitor.visit_map(Pairs {
                entries: entries.iter(),
                current: None,
            }),
        }
    }

    // A key without a value would quietly mean its default, `auth:` for one that anybody may call.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    // Otherwise a list would be taken for the values of the fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        if matches!(self.content, Content::Map(_)) {
            return self.deserialize_any(visitor);
        }
        let expected = format!("a mapping with {}", list(fields.iter().copied()));
        Err(de::Error::invalid_type(
            self.unexpected(),
            &expected.as_str(),
        ))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        if let Content::Text(text) = &self.content {
            let variant: StrDeserializer<'de, Mistake> = text.as_str().into_deserializer();
            return visitor.visit_enum(variant);
        }
        let expected = format!("one of {}", list(variants.iter().copied()));
        Err(de::Error::invalid_type(
            self.unexpected(),
            &expected.as_str(),
        ))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier ignored_any
    }
}

impl Node {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.content {
            Content::Null | Content::Dropped => Unexpected::Unit,
            Content::Bool(value) => Unexpected::Bool(*value),
            Content::Unsigned(number) => Unexpected::Unsigned(*number),
            Content::Signed(number) => Unexpected::Signed(*number),
            Content::Float(number) => Unexpected::Float(*number),
            Content::Text(text) => Unexpected::Str(text),
            Content::List(_) => Unexpected::Seq,
            Content::Map(_) => Unexpected::Map,
        }
    }
}

struct Items<'de> {
    nodes: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mistake> {
        match self.nodes.find(|(_, node)| !node.is_dropped()) {
            None => Ok(None),
            Some((index, node)) => seed
                .deserialize(node)
                .map(Some)
                .map_err(|mistake| mistake.at(PathStep::Index(index))),
        }
    }
}

struct Pairs<'de> {
    entries: std::slice::Iter<'de, NodeEntry>,
    current: Option<&'de NodeEntry>,
}

impl<'de> de::MapAccess<'de> for Pairs<'de> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        self.current = self.entries.find(|entry| !entry.value.is_dropped());
        let Some(entry) = self.current else {
            return Ok(None);
        };
        let key: StrDeserializer<'de, Mistake> = entry.key.as_str().into_deserializer();
        seed.deserialize(key)
            .map(Some)
            .map_err(|mistake| mistake.at(PathStep::Key(entry.key.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some(entry) = self.current.take() else {
            return Err(de::Error::custom("a value is missing here"));
        };
        seed.deserialize(&entry.value)
            .map_err(|mistake| mistake.at(PathStep::Key(entry.key.clone())))
    }
}

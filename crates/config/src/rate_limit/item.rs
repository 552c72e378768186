//! An item of a rate limit: by which property of a request it counts, and the quotas by that property's values.

use std::fmt;
use std::marker::PhantomData;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::dimension::{Argument, ArgumentKind, DIMENSIONS, Dimension};
use super::{KeyPattern, LimitBy, LimitKey, Quota, RequestQuota, Source};
use crate::Error;

/// Quotas by one property of the request.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleItem<Q = RequestQuota> {
    /// The property.
    pub by: LimitBy,
    /// The `per_` forms: every value of the property has a quota of its own. Otherwise all values that one key
    /// matches share that key's quota.
    pub per_value: bool,
    /// Of those that match a value, the one that says it most exactly counts.
    pub limit_keys: Vec<LimitKey<Q>>,
}

/// The list of values and their quotas.
const LIMIT_KEYS: &str = "limit_keys";

/// How many keys there are: two of each dimension, and the list.
const KEY_COUNT: usize = 2 * DIMENSIONS.len() + 1;

/// Every key that an item can have.
static KEYS: [&str; KEY_COUNT] = keys();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "done by the compiler, which would say so"
)]
const fn keys() -> [&'static str; KEY_COUNT] {
    let mut keys = [LIMIT_KEYS; KEY_COUNT];
    let mut place = 0;
    while place < DIMENSIONS.len() {
        let [shared, per_value] = DIMENSIONS[place].keys;
        keys[2 * place] = shared;
        keys[2 * place + 1] = per_value;
        place += 1;
    }
    keys
}

impl<Q> RuleItem<Q> {
    /// The key that says by which property, such as `limit_by_per_header`.
    pub const fn key(&self) -> &'static str {
        let [shared, per_value] = self.by.dimension.keys;
        if self.per_value { per_value } else { shared }
    }

    /// Which values one of the item's keys stands for.
    ///
    /// # Errors
    /// [`Error::Network`] and [`Error::DifyAppPattern`].
    pub fn pattern<'a>(&self, key: &'a LimitKey<Q>) -> Result<KeyPattern<'a>, Error> {
        match self.by.source() {
            Source::Address => KeyPattern::of_addresses(&key.key),
            Source::DifyApp => match KeyPattern::of_text(&key.key) {
                pattern @ (KeyPattern::Exact(_) | KeyPattern::Any) => Ok(pattern),
                _ => Err(Error::DifyAppPattern),
            },
            _ => Ok(KeyPattern::of_text(&key.key)),
        }
    }
}

impl<Q: Quota> Serialize for RuleItem<Q> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.key(), &self.by.argument.to_string())?;
        map.serialize_entry(LIMIT_KEYS, &self.limit_keys)?;
        map.end()
    }
}

impl<'de, Q: Quota> Deserialize<'de> for RuleItem<Q> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(Q::ITEM, &KEYS, ItemVisitor(PhantomData))
    }
}

/// A key of an item.
enum ItemKey {
    LimitKeys,
    /// A dimension's; whether it is the one that gives each value its own quota.
    Dimension(&'static Dimension, bool),
}

impl<'de> Deserialize<'de> for ItemKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl de::Visitor<'_> for KeyVisitor {
    type Value = ItemKey;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<ItemKey, E> {
        if key == LIMIT_KEYS {
            return Ok(ItemKey::LimitKeys);
        }
        let found = DIMENSIONS.iter().find_map(|dimension| {
            let [shared, per_value] = dimension.keys;
            let is_per_value = per_value == key;
            (is_per_value || shared == key).then_some(ItemKey::Dimension(dimension, is_per_value))
        });
        found.ok_or_else(|| de::Error::unknown_field(key, &KEYS))
    }
}

struct ItemVisitor<Q>(PhantomData<Q>);

impl<'de, Q: Quota> de::Visitor<'de> for ItemVisitor<Q> {
    type Value = RuleItem<Q>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("one of the `limit_by_…` keys, and `limit_keys`")
    }

    fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<RuleItem<Q>, M::Error> {
        let mut given: Vec<(&'static str, LimitBy, bool)> = Vec::new();
        let mut limit_keys = None;
        while let Some(key) = map.next_key()? {
            let (written, dimension, is_per_value) = match key {
                ItemKey::LimitKeys if limit_keys.is_some() => {
                    return Err(de::Error::duplicate_field(LIMIT_KEYS));
                }
                ItemKey::LimitKeys => {
                    limit_keys = Some(map.next_value()?);
                    continue;
                }
                ItemKey::Dimension(dimension, is_per_value) => {
                    let [shared, per_value] = dimension.keys;
                    let written = if is_per_value { per_value } else { shared };
                    (written, dimension, is_per_value)
                }
            };
            if given.iter().any(|(own, ..)| *own == written) {
                return Err(de::Error::duplicate_field(written));
            }
            let argument = match dimension.argument {
                ArgumentKind::Address => Argument::Address(map.next_value()?),
                ArgumentKind::Header => {
                    Argument::Name(map.next_value::<String>()?.to_ascii_lowercase())
                }
                ArgumentKind::Cookie | ArgumentKind::Param => Argument::Name(map.next_value()?),
                ArgumentKind::Nothing => {
                    map.next_value::<String>()?;
                    Argument::Nothing
                }
            };
            let by = LimitBy {
                dimension,
                argument,
            };
            given.push((written, by, is_per_value));
        }
        let limit_keys = limit_keys.ok_or_else(|| de::Error::missing_field(LIMIT_KEYS))?;
        // In the order of the table, whatever the order in the file.
        given.sort_by_key(|(key, ..)| KEYS.iter().position(|known| known == key));
        match <[_; 1]>::try_from(given) {
            Ok([(_, by, per_value)]) => Ok(RuleItem {
                by,
                per_value,
                limit_keys,
            }),
            Err(given) if given.is_empty() => Err(de::Error::custom(Error::LimitWithoutDimension)),
            Err(given) => Err(de::Error::custom(Error::LimitByMany {
                dimensions: given.into_iter().map(|(key, ..)| key).collect(),
            })),
        }
    }
}

#[cfg(feature = "document")]
impl<Q: Quota> schemars::JsonSchema for RuleItem<Q> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Q::ITEM.into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut properties = serde_json::Map::new();
        for dimension in DIMENSIONS {
            for (key, description) in dimension.keys.iter().zip(dimension.descriptions) {
                let property = serde_json::json!({ "description": description, "type": "string" });
                properties.insert((*key).to_owned(), property);
            }
        }
        let keys = generator.subschema_for::<Vec<LimitKey<Q>>>();
        let mut keys = serde_json::to_value(keys).unwrap_or_default();
        if let Some(keys) = keys.as_object_mut() {
            keys.insert("description".to_owned(), "Values and their quotas.".into());
        }
        properties.insert(LIMIT_KEYS.to_owned(), keys);
        let mut schema = schemars::json_schema!({
            "description": "Quotas by one property of the request.",
            "type": "object",
            "properties": properties,
            "required": [LIMIT_KEYS],
            "additionalProperties": false,
            "minProperties": 2,
            "maxProperties": 2,
        });
        crate::schema::with_capital_keys(&mut schema);
        schema
    }
}

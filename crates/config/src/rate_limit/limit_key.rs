//! Values, and the quota of those that match.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Quota, RequestQuota};

/// Values, and the quota of those that match.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitKey<Q = RequestQuota> {
    /// As written; [`RuleItem::pattern`](crate::RuleItem::pattern) reads it.
    pub key: String,
    /// How much may pass.
    pub quota: Q,
}

impl<Q: Quota> Serialize for LimitKey<Q> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.quota.with_key(self.key.clone());
        fields.serialize(serializer)
    }
}

impl<'de, Q: Quota> Deserialize<'de> for LimitKey<Q> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (key, quota) = Q::of_key(Q::KeyFields::deserialize(deserializer)?);
        Ok(Self { key, quota })
    }
}

#[cfg(feature = "document")]
impl<Q: Quota> schemars::JsonSchema for LimitKey<Q> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Q::KeyFields::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Q::KeyFields::json_schema(generator)
    }
}

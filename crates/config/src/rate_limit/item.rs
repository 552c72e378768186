//! An item of a rate limit: by which property of a request it counts, and the quotas by that property's values.

use serde::{Deserialize, Serialize};

use super::{AddressSource, KeyPattern, LimitKey};
use crate::Error;

/// Quotas by one property of the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(try_from = "RuleItemFields", into = "RuleItemFields")]
pub struct RuleItem {
    /// The property.
    pub by: LimitBy,
    /// The `per_` forms: every value of the property has a quota of its own. Otherwise all values that one key
    /// matches share that key's quota.
    pub per_value: bool,
    /// Of those that match a value, the one that says it most exactly counts.
    pub limit_keys: Vec<LimitKey>,
}

/// By which property of a request it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitBy {
    /// The header of this name, in lower case.
    Header(String),
    /// The query parameter of this name.
    Param(String),
    /// The cookie of this name.
    Cookie(String),
    /// The consumer's name.
    Consumer,
    /// The client's address.
    Address(AddressSource),
    /// The model asked for.
    Model,
    /// The Dify application, told by the key that its API is called with.
    DifyApp,
    /// The end user, as the application that calls Dify names them.
    EndUser,
    /// The route's name: the operator's own, or the prefix of Dify's table.
    Route,
    /// The service that gets the request.
    Service,
}

/// The forms of a property that an item can be written with.
const KEYS: [[&str; 2]; 10] = [
    ["limit_by_header", "limit_by_per_header"],
    ["limit_by_param", "limit_by_per_param"],
    ["limit_by_cookie", "limit_by_per_cookie"],
    ["limit_by_consumer", "limit_by_per_consumer"],
    ["limit_by_ip", "limit_by_per_ip"],
    ["limit_by_model", "limit_by_per_model"],
    ["limit_by_dify_app", "limit_by_per_dify_app"],
    ["limit_by_end_user", "limit_by_per_end_user"],
    ["limit_by_route", "limit_by_per_route"],
    ["limit_by_service", "limit_by_per_service"],
];

impl RuleItem {
    /// The key that says by which property, such as `limit_by_per_header`.
    pub const fn dimension(&self) -> &'static str {
        let [
            header,
            param,
            cookie,
            consumer,
            address,
            model,
            dify_app,
            end_user,
            route,
            service,
        ] = KEYS;
        let [shared, per_value] = match self.by {
            LimitBy::Header(_) => header,
            LimitBy::Param(_) => param,
            LimitBy::Cookie(_) => cookie,
            LimitBy::Consumer => consumer,
            LimitBy::Address(_) => address,
            LimitBy::Model => model,
            LimitBy::DifyApp => dify_app,
            LimitBy::EndUser => end_user,
            LimitBy::Route => route,
            LimitBy::Service => service,
        };
        if self.per_value { per_value } else { shared }
    }

    /// Which values one of the item's keys stands for.
    ///
    /// # Errors
    /// [`Error::Network`] and [`Error::DifyAppPattern`].
    pub fn pattern<'a>(&self, key: &'a LimitKey) -> Result<KeyPattern<'a>, Error> {
        match self.by {
            LimitBy::Header(_)
            | LimitBy::Param(_)
            | LimitBy::Cookie(_)
            | LimitBy::Consumer
            | LimitBy::Model
            | LimitBy::EndUser
            | LimitBy::Route
            | LimitBy::Service => Ok(KeyPattern::of_text(&key.key)),
            LimitBy::Address(_) => KeyPattern::of_addresses(&key.key),
            LimitBy::DifyApp => match KeyPattern::of_text(&key.key) {
                pattern @ (KeyPattern::Exact(_) | KeyPattern::Any) => Ok(pattern),
                _ => Err(Error::DifyAppPattern),
            },
        }
    }
}

/// Quotas by one property of the request: exactly one of the `limit_by_…` keys, and `limit_keys`. With a
/// `limit_by_per_…` key every value has a quota of its own; with the others all values that a key matches share
/// one.
#[derive(Default, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "document", schemars(
    rename = "RuleItem",
    transform = crate::schema::with_capital_keys,
    extend("minProperties" = 2, "maxProperties" = 2)
))]
#[serde(deny_unknown_fields)]
struct RuleItemFields {
    /// By the header of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_header: Option<String>,
    /// By the query parameter of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_param: Option<String>,
    /// By the cookie of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_cookie: Option<String>,
    /// By the consumer's name; the value means nothing, `''` will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_consumer: Option<String>,
    /// By the client's address: `from-remote-addr` or `from-header-<name>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "document", schemars(with = "Option<String>"))]
    limit_by_ip: Option<AddressSource>,
    /// By the model asked for; the value means nothing, `''` will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_model: Option<String>,
    /// By the Dify application, which the key of its API tells; the value means nothing, `''` will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_dify_app: Option<String>,
    /// By the end user that a request to Dify's service API names (`user`); the value means nothing, `''` will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_end_user: Option<String>,
    /// By the route's name, or the prefix of Dify's table; the value means nothing, `''` will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_route: Option<String>,
    /// By the service that gets the request: `api`, `web`, `plugin_daemon`; the value means nothing, `''` will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_service: Option<String>,
    /// As `limit_by_header`, each value for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_per_header: Option<String>,
    /// As `limit_by_param`, each value for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_per_param: Option<String>,
    /// As `limit_by_cookie`, each value for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_per_cookie: Option<String>,
    /// As `limit_by_consumer`, each consumer for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_per_consumer: Option<String>,
    /// As `limit_by_ip`, each address for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "document", schemars(with = "Option<String>"))]
    limit_by_per_ip: Option<AddressSource>,
    /// As `limit_by_model`, each model for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_per_model: Option<String>,
    /// As `limit_by_dify_app`, each application for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_per_dify_app: Option<String>,
    /// As `limit_by_end_user`, each user for themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_per_end_user: Option<String>,
    /// As `limit_by_route`, each route for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_per_route: Option<String>,
    /// As `limit_by_service`, each service for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_by_per_service: Option<String>,
    /// Values and their quotas.
    limit_keys: Vec<LimitKey>,
}

impl TryFrom<RuleItemFields> for RuleItem {
    type Error = Error;

    fn try_from(fields: RuleItemFields) -> Result<Self, Error> {
        let header = |name: String| LimitBy::Header(name.to_ascii_lowercase());
        let given = [
            [
                fields.limit_by_header.map(header),
                fields.limit_by_per_header.map(header),
            ],
            [
                fields.limit_by_param.map(LimitBy::Param),
                fields.limit_by_per_param.map(LimitBy::Param),
            ],
            [
                fields.limit_by_cookie.map(LimitBy::Cookie),
                fields.limit_by_per_cookie.map(LimitBy::Cookie),
            ],
            [
                fields.limit_by_consumer.map(|_| LimitBy::Consumer),
                fields.limit_by_per_consumer.map(|_| LimitBy::Consumer),
            ],
            [
                fields.limit_by_ip.map(LimitBy::Address),
                fields.limit_by_per_ip.map(LimitBy::Address),
            ],
            [
                fields.limit_by_model.map(|_| LimitBy::Model),
                fields.limit_by_per_model.map(|_| LimitBy::Model),
            ],
            [
                fields.limit_by_dify_app.map(|_| LimitBy::DifyApp),
                fields.limit_by_per_dify_app.map(|_| LimitBy::DifyApp),
            ],
            [
                fields.limit_by_end_user.map(|_| LimitBy::EndUser),
                fields.limit_by_per_end_user.map(|_| LimitBy::EndUser),
            ],
            [
                fields.limit_by_route.map(|_| LimitBy::Route),
                fields.limit_by_per_route.map(|_| LimitBy::Route),
            ],
            [
                fields.limit_by_service.map(|_| LimitBy::Service),
                fields.limit_by_per_service.map(|_| LimitBy::Service),
            ],
        ];
        let given: Vec<_> = given
            .into_iter()
            .zip(KEYS)
            .flat_map(|([shared, per_value], [shared_key, per_value_key])| {
                let shared = shared.map(|by| (by, false, shared_key));
                let per_value = per_value.map(|by| (by, true, per_value_key));
                [shared, per_value]
            })
            .flatten()
            .collect();
        match <[_; 1]>::try_from(given) {
            Ok([(by, per_value, _)]) => Ok(Self {
                by,
                per_value,
                limit_keys: fields.limit_keys,
            }),
            Err(given) if given.is_empty() => Err(Error::LimitWithoutDimension),
            Err(given) => Err(Error::LimitByMany {
                dimensions: given.into_iter().map(|(_, _, key)| key).collect(),
            }),
        }
    }
}

impl From<RuleItem> for RuleItemFields {
    fn from(item: RuleItem) -> Self {
        let mut fields = Self {
            limit_keys: item.limit_keys,
            ..Self::default()
        };
        let nothing = String::new;
        match (item.by, item.per_value) {
            (LimitBy::Header(name), false) => fields.limit_by_header = Some(name),
            (LimitBy::Header(name), true) => fields.limit_by_per_header = Some(name),
            (LimitBy::Param(name), false) => fields.limit_by_param = Some(name),
            (LimitBy::Param(name), true) => fields.limit_by_per_param = Some(name),
            (LimitBy::Cookie(name), false) => fields.limit_by_cookie = Some(name),
            (LimitBy::Cookie(name), true) => fields.limit_by_per_cookie = Some(name),
            (LimitBy::Consumer, false) => fields.limit_by_consumer = Some(nothing()),
            (LimitBy::Consumer, true) => fields.limit_by_per_consumer = Some(nothing()),
            (LimitBy::Address(source), false) => fields.limit_by_ip = Some(source),
            (LimitBy::Address(source), true) => fields.limit_by_per_ip = Some(source),
            (LimitBy::Model, false) => fields.limit_by_model = Some(nothing()),
            (LimitBy::Model, true) => fields.limit_by_per_model = Some(nothing()),
            (LimitBy::DifyApp, false) => fields.limit_by_dify_app = Some(nothing()),
            (LimitBy::DifyApp, true) => fields.limit_by_per_dify_app = Some(nothing()),
            (LimitBy::EndUser, false) => fields.limit_by_end_user = Some(nothing()),
            (LimitBy::EndUser, true) => fields.limit_by_per_end_user = Some(nothing()),
            (LimitBy::Route, false) => fields.limit_by_route = Some(nothing()),
            (LimitBy::Route, true) => fields.limit_by_per_route = Some(nothing()),
            (LimitBy::Service, false) => fields.limit_by_service = Some(nothing()),
            (LimitBy::Service, true) => fields.limit_by_per_service = Some(nothing()),
        }
        fields
    }
}

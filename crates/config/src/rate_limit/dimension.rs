//! The properties of a request by which it can be counted: one table, from which follow what is read and written, what
//! `check` says, the JSON Schema, and what the crate `limit` looks at.
//!
//! **To add one**: a row of [`DIMENSIONS`]; and where its values come from something that no row has yet, a [`Source`],
//! which the compiler then asks for where values are read; one that only the body tells is named in the crate `limit`,
//! `due.rs`, too.

use std::fmt;

use super::AddressSource;

/// A property of a request by which it can be counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The key that shares a quota among the values of a key, and the one that gives each value its own.
    pub keys: [&'static str; 2],
    /// The same for the JSON Schema.
    pub(crate) descriptions: [&'static str; 2],
    /// What stands behind the key.
    pub(crate) argument: ArgumentKind,
    /// Where values come from.
    pub source: Source,
    /// Who makes values up.
    pub values: Values,
    /// Whether a value tells who somebody is, or is somebody's secret.
    pub(crate) is_personal: bool,
    /// The kinds of API whose requests have it.
    pub(crate) known_to: &'static [Traffic],
    /// What `check` says in the others: why nothing is limited there.
    pub(crate) elsewhere: &'static str,
}

/// What stands behind a dimension's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArgumentKind {
    /// A header's name.
    Header,
    /// A cookie's name.
    Cookie,
    /// A query parameter's name.
    Param,
    /// Where an address is taken from.
    Address,
    /// Nothing that means anything.
    Nothing,
}

/// Where a dimension's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The header of the name that is written.
    Header,
    /// The query parameter of the name that is written.
    Param,
    /// The cookie of the name that is written.
    Cookie,
    /// The client's address, or one in a header.
    Address,
    /// The consumer's name.
    Consumer,
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

/// Who makes a dimension's values up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// The operator.
    Known,
    /// Nobody, but a client has many: names of models, addresses.
    Chosen,
    /// The client can write anything there.
    Invented,
}

/// What passes an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    Agent,
    Model,
    Knowledge,
}

const ALL: &[Traffic] = &[Traffic::Agent, Traffic::Model, Traffic::Knowledge];
const OF_DIFY: &[Traffic] = &[Traffic::Agent];

/// All of them.
pub(crate) static DIMENSIONS: &[Dimension] = &[
    Dimension {
        keys: ["limit_by_header", "limit_by_per_header"],
        descriptions: [
            "By the header of this name.",
            "As `limit_by_header`, each value for itself.",
        ],
        argument: ArgumentKind::Header,
        source: Source::Header,
        values: Values::Invented,
        is_personal: true,
        known_to: ALL,
        elsewhere: "",
    },
    Dimension {
        keys: ["limit_by_param", "limit_by_per_param"],
        descriptions: [
            "By the query parameter of this name.",
            "As `limit_by_param`, each value for itself.",
        ],
        argument: ArgumentKind::Param,
        source: Source::Param,
        values: Values::Invented,
        is_personal: true,
        known_to: ALL,
        elsewhere: "",
    },
    Dimension {
        keys: ["limit_by_cookie", "limit_by_per_cookie"],
        descriptions: [
            "By the cookie of this name.",
            "As `limit_by_cookie`, each value for itself.",
        ],
        argument: ArgumentKind::Cookie,
        source: Source::Cookie,
        values: Values::Invented,
        is_personal: true,
        known_to: ALL,
        elsewhere: "",
    },
    Dimension {
        keys: ["limit_by_consumer", "limit_by_per_consumer"],
        descriptions: [
            "By the consumer's name; the value means nothing, `''` will do.",
            "As `limit_by_consumer`, each consumer for itself.",
        ],
        argument: ArgumentKind::Nothing,
        source: Source::Consumer,
        values: Values::Known,
        is_personal: false,
        known_to: &[Traffic::Model, Traffic::Knowledge],
        elsewhere: "an agent API knows no consumers",
    },
    Dimension {
        keys: ["limit_by_ip", "limit_by_per_ip"],
        descriptions: [
            "By the client's address: `from-remote-addr` or `from-header-<name>`.",
            "As `limit_by_ip`, each address for itself.",
        ],
        argument: ArgumentKind::Address,
        source: Source::Address,
        values: Values::Chosen,
        is_personal: true,
        known_to: ALL,
        elsewhere: "",
    },
    Dimension {
        keys: ["limit_by_model", "limit_by_per_model"],
        descriptions: [
            "By the model asked for; the value means nothing, `''` will do.",
            "As `limit_by_model`, each model for itself.",
        ],
        argument: ArgumentKind::Nothing,
        source: Source::Model,
        values: Values::Chosen,
        is_personal: false,
        known_to: &[Traffic::Model],
        elsewhere: "only calls of a model API name a model",
    },
    Dimension {
        keys: ["limit_by_dify_app", "limit_by_per_dify_app"],
        descriptions: [
            "By the Dify application, which the key of its API tells; the value means nothing, `''` will do.",
            "As `limit_by_dify_app`, each application for itself.",
        ],
        argument: ArgumentKind::Nothing,
        source: Source::DifyApp,
        values: Values::Invented,
        is_personal: false,
        known_to: OF_DIFY,
        elsewhere: "Dify's own calls do not tell the app that they are made for",
    },
    Dimension {
        keys: ["limit_by_end_user", "limit_by_per_end_user"],
        descriptions: [
            "By the end user that a request to Dify's service API names (`user`); the value means nothing, `''` will do.",
            "As `limit_by_end_user`, each user for themselves.",
        ],
        argument: ArgumentKind::Nothing,
        source: Source::EndUser,
        values: Values::Invented,
        is_personal: true,
        known_to: OF_DIFY,
        elsewhere: "only requests to Dify name an end user",
    },
    Dimension {
        keys: ["limit_by_route", "limit_by_per_route"],
        descriptions: [
            "By the route's name, or the prefix of Dify's table; the value means nothing, `''` will do.",
            "As `limit_by_route`, each route for itself.",
        ],
        argument: ArgumentKind::Nothing,
        source: Source::Route,
        values: Values::Known,
        is_personal: false,
        known_to: &[Traffic::Agent, Traffic::Model],
        elsewhere: "a knowledge API has no routes",
    },
    Dimension {
        keys: ["limit_by_service", "limit_by_per_service"],
        descriptions: [
            "By the service that gets the request: `api`, `web`, `plugin_daemon`; the value means nothing, `''` will do.",
            "As `limit_by_service`, each service for itself.",
        ],
        argument: ArgumentKind::Nothing,
        source: Source::Service,
        values: Values::Known,
        is_personal: false,
        known_to: OF_DIFY,
        elsewhere: "only agent APIs count by it",
    },
];

/// By which property of a request it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitBy {
    /// The property.
    pub dimension: &'static Dimension,
    /// What is written behind its key.
    pub argument: Argument,
}

/// What is written behind a dimension's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// Nothing that means anything.
    Nothing,
    /// A name: a header's in lower case.
    Name(String),
    /// Where an address is taken from.
    Address(AddressSource),
}

impl LimitBy {
    /// By the first dimension with this source. For tests, mainly: configurations name a key.
    pub fn of(source: Source, argument: Argument) -> Option<Self> {
        let dimension = DIMENSIONS.iter().find(|row| row.source == source)?;
        Some(Self {
            dimension,
            argument,
        })
    }

    /// Where its values come from.
    pub const fn source(&self) -> Source {
        self.dimension.source
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Name(name) => formatter.write_str(name),
            Self::Address(source) => source.fmt(formatter),
        }
    }
}

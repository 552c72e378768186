//! Where a rate limit takes a request's address from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::is_token;
use crate::Error;
use crate::error::shortened;

/// Where a request's address is taken from, written `from-remote-addr` or `from-header-<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressSource {
    /// The client, as `trusted_proxies` tell.
    RemoteAddress,
    /// The first address in this header, in lower case. `x-forwarded-for` and `x-real-ip` mean the client too, as
    /// anybody can write them; so does a request without the header, or with something else in it.
    Header(String),
}

impl FromStr for AddressSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match (text, text.strip_prefix("from-header-")) {
            ("from-remote-addr", _) => Ok(Self::RemoteAddress),
            (_, Some(name)) if is_token(name) => Ok(Self::Header(name.to_ascii_lowercase())),
            _ => Err(Error::AddressSource {
                found: shortened(text),
            }),
        }
    }
}

impl fmt::Display for AddressSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoteAddress => formatter.write_str("from-remote-addr"),
            Self::Header(name) => write!(formatter, "from-header-{name}"),
        }
    }
}

impl Serialize for AddressSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AddressSourceVisitor)
    }
}

struct AddressSourceVisitor;

impl de::Visitor<'_> for AddressSourceVisitor {
    type Value = AddressSource;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`from-remote-addr` or `from-header-<name>`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AddressSource, E> {
        text.parse().map_err(E::custom)
    }
}

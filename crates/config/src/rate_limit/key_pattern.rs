//! Which values a key of a rate limit stands for.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::Error;
use crate::error::shortened;

/// Which values a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPattern<'a> {
    /// This value alone.
    Exact(&'a str),
    /// Values that begin so.
    Prefix(&'a str),
    /// Values in which this regular expression is found, anywhere unless it says `^` or `$`.
    Regexp(&'a str),
    /// Addresses of this network; a single address is a network of its own.
    Network(IpNet),
    /// Every value.
    Any,
}

impl<'a> KeyPattern<'a> {
    /// What a key says where values are text.
    pub(super) fn of_text(key: &'a str) -> Self {
        if key == "*" {
            Self::Any
        } else if let Some(beginning) = key.strip_prefix("prefix:") {
            Self::Prefix(beginning)
        } else if let Some(expression) = key.strip_prefix("regexp:") {
            Self::Regexp(expression)
        } else {
            Self::Exact(key)
        }
    }

    /// What a key says where values are addresses.
    pub(super) fn of_addresses(key: &str) -> Result<Self, Error> {
        if key == "*" {
            return Ok(Self::Any);
        }
        let address = || key.parse::<IpAddr>().map(IpNet::from).ok();
        let network = key.parse::<IpNet>().ok().or_else(address);
        network
            .map(|network| Self::Network(network.trunc()))
            .ok_or_else(|| Error::Network {
                found: shortened(key),
            })
    }

    /// Where it stands among an item's keys: of several that match, the one of the least rank is used.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Exact(_) => 0,
            Self::Network(network) if network.prefix_len() == network.max_prefix_len() => 0,
            Self::Prefix(_) | Self::Network(_) => 1,
            Self::Regexp(_) => 2,
            Self::Any => 3,
        }
    }
}

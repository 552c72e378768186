//! Reading networks one by one, so that a message stands at the wrong one and says what is right.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use crate::Error;
use crate::error::shortened;

/// For `deserialize_with`: networks, or single addresses.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<IpNet>, D::Error> {
    let networks = Vec::<Network>::deserialize(deserializer)?;
    Ok(networks
        .into_iter()
        .map(|Network(network)| network)
        .collect())
}

struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NetworkVisitor)
    }
}

struct NetworkVisitor;

impl de::Visitor<'_> for NetworkVisitor {
    type Value = Network;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a network, such as `10.0.0.0/8`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Network, E> {
        let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
        let network = text.parse::<IpNet>().ok().or_else(address);
        network.map(Network).ok_or_else(|| {
            E::custom(Error::Network {
                found: shortened(text),
            })
        })
    }
}

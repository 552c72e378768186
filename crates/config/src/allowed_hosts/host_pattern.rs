//! The hosts of an entry: one, those below a domain, those of a network, or all.

use ipnet::IpNet;
use url::Host;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostPattern {
    Any,
    /// Below this domain, which begins with a dot.
    Below(String),
    /// The application itself, for URLs without a host: no host that one could name.
    Itself,
    One(Host),
    Network(IpNet),
}

impl HostPattern {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        match text {
            "*" => return Ok(Self::Any),
            "self" | "self.alt" => return Ok(Self::Itself),
            _ if text.starts_with('{') => {
                return Err("lists of hosts are not supported: write one entry for each");
            }
            _ => {}
        }
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.contains('/') {
            return Err("it has a path, and only hosts are allowed");
        }
        if let Some(domain) = text.strip_prefix("*.") {
            return match Host::parse(domain) {
                Ok(Host::Domain(domain)) if !domain.contains('*') => {
                    Ok(Self::Below(format!(".{domain}")))
                }
                _ => Err("after `*.` comes a domain"),
            };
        }
        if text.contains('*') {
            return Err("a `*` is the whole host, or its first part as in `*.example.com`");
        }
        Host::parse(text)
            .map(Self::One)
            .map_err(|_| "its host is neither a name nor an address")
    }

    pub(super) fn allows(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Below(domain), Host::Domain(name)) => name.ends_with(domain),
            (Self::One(one), host) => one == host,
            (Self::Network(IpNet::V4(network)), Host::Ipv4(address)) => network.contains(address),
            (Self::Network(IpNet::V6(network)), Host::Ipv6(address)) => network.contains(address),
            (Self::Below(_) | Self::Itself | Self::Network(_), _) => false,
        }
    }
}

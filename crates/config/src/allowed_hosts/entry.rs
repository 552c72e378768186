//! One entry: its parts, and what it allows.

use url::Host;

use super::host_pattern::HostPattern;
use super::port::{Port, default_port};
use super::scheme::Scheme;
use crate::Error;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AllowedHost {
    scheme: Scheme,
    host: HostPattern,
    port: Port,
}

impl AllowedHost {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_parts(text.trim()).map_err(|reason| Error::AllowedHost {
            entry: text.to_owned(),
            reason,
        })
    }

    fn parse_parts(text: &str) -> Result<Self, &'static str> {
        if text == "insecure:allow-all" {
            return Err("write `*://*:*` to allow everything");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("it has no scheme; the form is `scheme://host[:port]`, with `*` for any");
        };
        let (host, port) = split_port(rest)?;
        Ok(Self {
            port: Port::parse(port, scheme)?,
            scheme: Scheme::parse(scheme)?,
            host: HostPattern::parse(host)?,
        })
    }

    pub(super) fn allows(&self, scheme: &str, host: &Host, port: Option<u16>) -> bool {
        self.scheme.allows(scheme)
            && self.host.allows(host)
            && self.port.allows(port.or_else(|| default_port(scheme)))
    }

    /// Whether no host is refused at all.
    pub(super) fn allows_everything(&self) -> bool {
        self.scheme == Scheme::Any && self.host == HostPattern::Any && self.port == Port::Any
    }
}

/// Splits `host:port`. The colons of an IPv6 network, which has no brackets, belong to it.
fn split_port(rest: &str) -> Result<(&str, &str), &'static str> {
    if HostPattern::parse(rest).is_ok() {
        return Ok((rest, ""));
    }
    let Some((host, port)) = rest.rsplit_once(':') else {
        return Ok((rest, ""));
    };
    match port.split_once('/') {
        None => Ok((host, port)),
        Some((port, "")) => Ok((host, port)),
        Some(_) => Err("it has a path, and only hosts are allowed"),
    }
}

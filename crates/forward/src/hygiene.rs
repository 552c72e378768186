//! Which headers go along, and which the gateway sets itself.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use spillway_platform::{Headers, RequestHead, is_forbidden};
use spillway_telemetry::address_text;

/// Fields that belong to one hop only (RFC 9110 §7.6.1, §10.1.1), besides those that hosts refuse
/// ([`spillway_platform::is_forbidden`]).
///
/// `trailer` is not among them: without it the runtime drops the trailers that it announces.
const HOP_BY_HOP: [&str; 2] = ["expect", "te"];

/// Fields by which a proxy tells of the client, besides `x-forwarded-*`. What is so is told anew, from a trusted
/// proxy's `x-forwarded-*` where there is one; whatever else a client may have put there does not go on.
const CLIENT_CLAIMS: [&str; 7] = [
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// What makes a request's framing or its host ambiguous, so that the next server could read another request out of
/// it than this one (RFC 9112 §6.3, §3.2); in words for the client.
pub fn ambiguity(headers: &Headers) -> Option<&'static str> {
    if headers.contains("transfer-encoding") && headers.contains("content-length") {
        return Some(
            "The request has both `Content-Length` and `Transfer-Encoding`. Send one of them.",
        );
    }
    if headers.all("host").nth(1).is_some() {
        return Some("The request has more than one `Host`. Send one.");
    }
    None
}

/// Removes what must not cross: hop-by-hop fields and Spin's own.
pub fn drop_unforwardable_headers(headers: &mut Headers) {
    headers.retain_names(|name| {
        !name.starts_with("spin-") && !is_forbidden(name) && !HOP_BY_HOP.contains(&name)
    });
}

/// Removes others' copies of the fields that the gateway itself gives meaning to.
pub fn drop_internal_headers(headers: &mut Headers) {
    headers.retain_names(|name| !name.starts_with("x-gateway-"));
}

/// Whom to believe about the client.
#[derive(Debug, Clone, Default)]
pub struct PeerTrust {
    proxies: Vec<IpNet>,
}

impl PeerTrust {
    /// Believes peers in these networks.
    pub fn new(proxies: &[IpNet]) -> Self {
        Self {
            proxies: proxies.to_vec(),
        }
    }

    fn believes(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxies
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// What the upstream is told about the client and about what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedHeaders {
    /// The client: the nearest address that is no trusted proxy.
    pub client: Option<IpAddr>,
    /// `http` or `https`, as the client used.
    pub proto: String,
    /// Host and port, as the client used.
    pub host: String,
    forwarded_for: Option<String>,
    /// As the client used it.
    pub(crate) port: String,
}

impl ForwardedHeaders {
    /// Reads what the request itself and, from a trusted proxy, its headers say.
    pub fn of(request: &RequestHead, trust: &PeerTrust) -> Self {
        let peer = request.peer.map(|peer| peer.ip().to_canonical());
        let trusted = peer.is_some_and(|peer| trust.believes(peer));
        let chain: Vec<String> = if trusted {
            request
                .headers
                .all("x-forwarded-for")
                .filter_map(|value| std::str::from_utf8(value).ok())
                .flat_map(|value| value.split(','))
                .map(|address| address.trim().to_owned())
                .filter(|address| !address.is_empty())
                .collect()
        } else {
            Vec::new()
        };
        // Each trusted proxy that appends has added one entry at the right; what stands further left, anybody could have
        // written.
        let written_by_trusted = chain
            .iter()
            .rev()
            .take_while(|entry| address_of(entry).is_some_and(|address| trust.believes(address)))
            .count();
        let claim = |name: &str| {
            request.headers.text(name).filter(|_| trusted).map(|value| {
                let mut entries = value.rsplit(',').map(str::trim);
                let outermost = entries.clone().nth(written_by_trusted);
                outermost
                    .or_else(|| entries.next_back())
                    .unwrap_or_default()
                    .to_owned()
            })
        };
        let proto = claim("x-forwarded-proto")
            .map(|proto| proto.to_ascii_lowercase())
            .filter(|proto| proto == "http" || proto == "https")
            .unwrap_or_else(|| request.scheme.clone());
        let host = claim("x-forwarded-host")
            .filter(|host| !host.is_empty())
            .unwrap_or_else(|| request.authority.clone());
        let port = claim("x-forwarded-port")
            .filter(|port| port.parse::<u16>().is_ok())
            .unwrap_or_else(|| port_of(&host, &proto).to_owned());
        let client = if trusted {
            nearest_untrusted(&chain, trust).or(peer)
        } else {
            peer
        };
        // Whatever stands left of the client is its own invention, and some read the first of the list.
        let from_client = chain
            .iter()
            .rposition(|entry| address_of(entry).map(|address| address.to_canonical()) == client)
            .and_then(|position| chain.get(position..))
            .unwrap_or_default();
        let forwarded_for = peer.map(|peer| {
            let mut text = String::new();
            for entry in from_client {
                // Without a port, which few readers of this header expect.
                match address_of(entry) {
                    Some(address) => text.push_str(&address_text(address)),
                    None => text.push_str(entry),
                }
                text.push_str(", ");
            }
            text.push_str(&address_text(peer));
            text
        });
        Self {
            client,
            proto,
            host,
            forwarded_for,
            port,
        }
    }

    /// Replaces every claim in `headers` by what is so.
    pub fn apply(&self, headers: &mut Headers) {
        // A name with an underscore is another spelling of one of these to some servers; nginx drops them, too.
        let mut has_credential = false;
        headers.retain_names(|name| {
            // The first is the one that was counted; which of two a server believes, nobody knows.
            let is_second = name == "authorization" && std::mem::replace(&mut has_credential, true);
            !CLIENT_CLAIMS.contains(&name)
                && !name.starts_with("x-forwarded-")
                && !name.contains('_')
                && !is_second
        });
        if let Some(chain) = &self.forwarded_for {
            headers.append("x-forwarded-for", chain.as_str());
        }
        if let Some(client) = self.client {
            headers.append("x-real-ip", address_text(client));
        }
        headers.append("x-forwarded-proto", self.proto.as_str());
        if !self.host.is_empty() {
            headers.append("x-forwarded-host", self.host.as_str());
        }
        headers.append("x-forwarded-port", self.port.as_str());
    }

    /// The host without its port.
    pub fn host_name(&self) -> &str {
        split_port(&self.host).0
    }
}

/// From the right, the first address of the chain that is no trusted proxy: whatever stands left of it, anybody
/// could have written.
fn nearest_untrusted(chain: &[String], trust: &PeerTrust) -> Option<IpAddr> {
    let mut nearest = None;
    for entry in chain.iter().rev() {
        let Some(address) = address_of(entry) else {
            break;
        };
        nearest = Some(address.to_canonical());
        if !trust.believes(address) {
            break;
        }
    }
    nearest
}

/// An entry's address; some proxies write the port with it.
fn address_of(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().map(|address| address.ip());
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry
        .parse()
        .or_else(|_| with_port())
        .ok()
        .or_else(in_brackets)
}

/// Host name and port of an authority; brackets of an IPv6 address stay with the name.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && !name.is_empty() => (name, Some(port)),
        _ => (authority, None),
    }
}

fn port_of<'a>(host: &'a str, proto: &str) -> &'a str {
    let standard = if proto == "https" { "443" } else { "80" };
    split_port(host)
        .1
        .filter(|port| port.parse::<u16>().is_ok())
        .unwrap_or(standard)
}

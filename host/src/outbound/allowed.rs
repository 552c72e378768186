//! `allowed_outbound_hosts`: where a component may send to.

use spillway_config::AllowedHosts;
use url::Url;

use crate::spin_headers::SERVICE_CHAINING_SUFFIX;

/// The entries of one component, their variables filled in.
#[derive(Debug, Default)]
pub struct AllowedDestinations {
    hosts: AllowedHosts,
    /// Whether it may send to its own application.
    own: bool,
}

/// Where a request or connection goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl AllowedDestinations {
    /// Reads the entries of a component; those that came out empty are left out. `components` are the
    /// ids that `*.spin.internal` stands for.
    ///
    /// # Errors
    /// The first entry that is none.
    pub fn parse(entries: &[String], components: &[&str]) -> Result<Self, spillway_config::Error> {
        let entries = entries
            .iter()
            .map(|entry| entry.trim())
            .filter(|entry| !matches!(*entry, "" | "http://" | "https://"));
        let mut expanded: Vec<String> = Vec::new();
        let mut own = false;
        for entry in entries {
            own |= is_own(entry);
            let any_component = format!("*{SERVICE_CHAINING_SUFFIX}");
            if entry.contains(&any_component) {
                let each = components.iter().map(|id| {
                    entry.replace(&any_component, &format!("{id}{SERVICE_CHAINING_SUFFIX}"))
                });
                expanded.extend(each);
            } else {
                expanded.push(entry.to_owned());
            }
        }
        Ok(Self {
            hosts: AllowedHosts::parse(expanded)?,
            own,
        })
    }

    /// Whether a component may send there.
    pub fn allow(&self, destination: &Destination) -> bool {
        let Destination { scheme, host, port } = destination;
        self.hosts.allows(scheme, host, *port)
    }

    /// Whether it may send HTTP to its own application, as `http://self` allows it.
    pub fn allow_own(&self) -> bool {
        self.own
    }
}

/// Whether an entry allows requests to the application itself.
fn is_own(entry: &str) -> bool {
    let Some(("http" | "https" | "*", rest)) = entry.split_once("://") else {
        return false;
    };
    let host = rest.split_once(':').map_or(rest, |(host, _)| host);
    matches!(host, "self" | "self.alt" | "*")
}

impl Destination {
    /// The destination of a URL; one without a scheme gets `default_scheme`.
    pub fn of_url(url: &str, default_scheme: &str) -> Option<Self> {
        let url = match Url::parse(url) {
            Ok(url) if url.has_host() => url,
            _ => Url::parse(&format!("{default_scheme}://{url}")).ok()?,
        };
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_owned(),
            port: url.port(),
        })
    }

    /// The destination of a request's address.
    pub fn of_uri(uri: &http::Uri) -> Option<Self> {
        let scheme = uri.scheme_str().unwrap_or("https");
        let port = match (scheme, uri.port_u16()) {
            ("http", Some(80)) | ("https", Some(443)) => None,
            (_, port) => port,
        };
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            host: uri.host()?.to_ascii_lowercase(),
            port,
        })
    }
}

/// As an entry that would allow it.
impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port {
            None => Ok(()),
            Some(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entry: &str) -> AllowedDestinations {
        AllowedDestinations::parse(&[entry.to_owned()], &["a", "b"]).unwrap()
    }

    #[test]
    fn requests_and_connections_are_compared_with_the_entries() {
        let allows = |entry: &str, uri: &'static str| {
            let uri = http::Uri::from_static(uri);
            allowed(entry).allow(&Destination::of_uri(&uri).unwrap())
        };
        assert!(allows(
            "https://api.example.com",
            "https://API.example.com:443/v1"
        ));
        assert!(allows("http://[::1]:81", "http://[::1]:81/"));
        assert!(allows("http://10.0.0.0/8", "http://10.1.2.3/"));
        assert!(!allows(
            "https://api.example.com",
            "http://api.example.com/"
        ));
        assert!(!allows(
            "https://api.example.com",
            "https://api.example.com:8443/"
        ));
        let connects = |entry: &str, address: &str| {
            allowed(entry).allow(&Destination::of_url(address, "redis").unwrap())
        };
        assert!(connects("redis://r", "redis://:secret@r:6379/1"));
        assert!(connects("redis://r:7000", "r:7000"));
        assert!(!connects("redis://r", "redis://s"));
    }

    #[test]
    fn other_components_are_allowed_by_name() {
        let allows = |uri: &'static str| {
            let uri = http::Uri::from_static(uri);
            allowed("http://*.spin.internal").allow(&Destination::of_uri(&uri).unwrap())
        };
        assert!(allows("http://a.spin.internal/x"));
        assert!(!allows("http://c.spin.internal/x"));
    }

    #[test]
    fn the_application_itself_is_allowed_by_self() {
        assert!(allowed("http://self").allow_own());
        assert!(allowed("*://*:*").allow_own());
        assert!(!allowed("http://localhost").allow_own());
        assert!(!allowed("redis://self").allow_own());
    }

    #[test]
    fn empty_entries_are_left_out_and_wrong_ones_named() {
        assert!(allowed("https://").hosts == AllowedHosts::default());
        let wrong = AllowedDestinations::parse(&["example.com".to_owned()], &[]);
        assert!(wrong.unwrap_err().to_string().contains("example.com"));
    }

    #[test]
    fn a_destination_reads_as_the_entry_to_add() {
        let shown = |url| Destination::of_url(url, "https").unwrap().to_string();
        assert_eq!(
            shown("https://api.example.com:443/v1?x"),
            "https://api.example.com"
        );
        assert_eq!(shown("http://a:8000/"), "http://a:8000");
        assert_eq!(shown("redis://:pw@r/0"), "redis://r");
    }
}

//! Spin's `allowed_outbound_hosts`: which hosts a component may send to. An entry means here what it means to
//! Spin 4.1: `scheme://host[:port]`, each part with wildcards of its own.

mod entry;
mod host_pattern;
mod port;
mod scheme;

use url::Host;

use self::entry::AllowedHost;
pub(crate) use self::port::default_port;
use crate::{Error, template};

/// The entries of one component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    entries: Vec<AllowedHost>,
    /// Entries with `{{ name }}` in them, in canonical form.
    templates: Vec<String>,
}

impl AllowedHosts {
    /// Reads the entries of a list. One with `{{ name }}` in it allows nothing: resolve it first where its value
    /// is known (Spin leaves out what is then empty, `http://` or `https://`).
    ///
    /// Fails on the first entry that Spin would refuse.
    pub fn parse<I>(entries: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut hosts = Self::default();
        for text in entries {
            let text = text.as_ref();
            if !template::is_templated(text) {
                hosts.entries.push(AllowedHost::parse(text)?);
            } else if let Some(mistake) = template::mistake(text) {
                return Err(mistake);
            } else {
                hosts.templates.push(template::canonical(text.trim()));
            }
        }
        Ok(hosts)
    }

    /// Whether a request may be sent. `host` is a name or an address as in a URL (IPv6 in brackets); without a
    /// `port` the scheme's own is meant.
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let Ok(host) = Host::parse(host) else {
            return false;
        };
        self.entries
            .iter()
            .any(|entry| entry.allows(scheme, &host, port))
    }

    /// Whether a text with templates, in canonical form, is one of the entries, or no host is refused at all.
    pub(crate) fn allows_template(&self, canonical: &str) -> bool {
        self.entries.iter().any(AllowedHost::allows_everything)
            || self.templates.iter().any(|entry| entry == canonical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, scheme: &str, host: &str, port: Option<u16>) -> bool {
        AllowedHosts::parse([entry])
            .unwrap()
            .allows(scheme, host, port)
    }

    #[test]
    fn entries_allow_what_they_name() {
        for (entry, scheme, host, port, expected) in [
            ("*://*:*", "http", "a", None, true),
            ("*://*:*", "rediss", "a", None, true),
            ("http://*:80", "http", "anything", None, true),
            ("http://*:80", "http", "anything", Some(81), false),
            ("http://*:80", "https", "anything", Some(80), false),
            (
                "https://api.example.com",
                "https",
                "api.example.com",
                None,
                true,
            ),
            (
                "https://api.example.com",
                "https",
                "API.Example.com",
                Some(443),
                true,
            ),
            (
                "https://api.example.com/",
                "https",
                "api.example.com",
                Some(443),
                true,
            ),
            (
                "https://api.example.com",
                "https",
                "api.example.com",
                Some(8443),
                false,
            ),
            (
                "https://api.example.com",
                "http",
                "api.example.com",
                None,
                false,
            ),
            ("http://api:5001/", "http", "api", Some(5001), true),
            (
                "http://plugin_daemon:5002",
                "http",
                "plugin_daemon",
                Some(5002),
                true,
            ),
            (
                "https://*.Example.com",
                "https",
                "a.b.example.com",
                None,
                true,
            ),
            ("https://*.example.com", "https", "example.com", None, false),
            (
                "https://*.example.com",
                "https",
                "badexample.com",
                None,
                false,
            ),
            ("http://127.0.0.1:*", "http", "127.0.0.1", Some(9), true),
            ("http://127.0.0.1:*", "http", "localhost", Some(9), false),
            ("http://a:8000..9000", "http", "a", Some(8000), true),
            ("http://a:8000..9000", "http", "a", Some(9000), false),
            ("*://10.0.0.0/8:80", "http", "10.1.2.3", None, true),
            ("*://10.1.2.3/8:80", "http", "10.200.0.1", None, true),
            ("http://10.0.0.0/8", "http", "11.0.0.1", None, false),
            ("http://10.0.0.0/8", "http", "ten.example.com", None, false),
            ("http://2001:db8::/32", "http", "[2001:db8::1]", None, true),
            (
                "http://2001:db8::/32:443",
                "http",
                "[2001:db8::1]",
                Some(443),
                true,
            ),
            ("http://2001:db8::/32", "http", "[2001:db9::1]", None, false),
            ("http://[::1]", "http", "[::1]", Some(80), true),
            ("http://[::1]:8080", "http", "[::1]", Some(8080), true),
            ("http://[::1]", "http", "[::2]", None, false),
            ("redis://redis", "redis", "redis", None, true),
            ("redis://redis:6379", "redis", "redis", None, true),
            ("rediss://redis:6380", "rediss", "redis", Some(6380), true),
            ("rediss://redis:6380", "rediss", "redis", None, false),
            ("rediss://redis:*", "rediss", "redis", None, true),
            ("http://self", "http", "self", None, false),
            ("http://self.alt", "http", "self.alt", None, false),
            (
                "http://model.spin.internal",
                "http",
                "model.spin.internal",
                None,
                true,
            ),
            (
                "http://*.spin.internal",
                "http",
                "model.spin.internal",
                None,
                true,
            ),
            ("http://a", "http", "a b", None, false),
            (" http://a ", "http", "a", None, true),
        ] {
            assert_eq!(
                allows(entry, scheme, host, port),
                expected,
                "{entry}: {scheme}://{host} {port:?}"
            );
        }
    }

    #[test]
    fn what_spin_refuses_is_refused() {
        for entry in [
            "",
            "*",
            "insecure:allow-all",
            "example.com",
            "example.com:80",
            "rediss://redis",
            "*://example.com",
            "*://127.0.0.0/24",
            "{http,https}://example.com",
            "http://{a,b}",
            "http://a:{80,81}",
            "h2://example.com",
            "http://example.com/a",
            "http://example.com//",
            "http://example.com:80/a",
            "http://example.com:80:90",
            "http://example.com:port",
            "http://example.com:99999",
            "http://example.com:8080..",
            "http://example.com:8080..70000",
            "http://*.example.com/a",
            "http://a.*.example.com",
            "http://*.a.*",
            "http://*.",
            "http://*.127.0.0.1",
            "http://*.[::1]",
            "http://127.0.0.0/24/a",
            "http://[::1",
            "http://[::1]junk",
            "http://[::1]/a",
            "http://exa[mple.com",
            "http://",
        ] {
            assert!(AllowedHosts::parse([entry]).is_err(), "{entry}");
        }
    }

    #[test]
    fn templates_are_kept_apart() {
        let hosts = AllowedHosts::parse(["{{redis_url}}", "http://{{ host }}:80"]).unwrap();
        assert!(hosts.allows_template("{{ redis_url }}"));
        assert!(hosts.allows_template("http://{{ host }}:80"));
        assert!(!hosts.allows_template("{{ other }}"));
        assert!(!hosts.allows("http", "host", None));
        assert!(
            AllowedHosts::parse(["*://*:*"])
                .unwrap()
                .allows_template("{{ other }}")
        );
        assert!(AllowedHosts::parse(["http://{{ Host }}"]).is_err());
    }
}

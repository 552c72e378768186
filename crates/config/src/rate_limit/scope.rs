//! The requests that a limit is for, as Higress' `_rules_` tell them.

use serde::{Deserialize, Serialize};

/// The requests that a limit is for: of one of these routes, and to one of these domains. What is empty holds for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LimitScope {
    /// Names of routes (`_match_route_`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Beginnings of routes' names (`_match_route_prefix_`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route_prefixes: Vec<String>,
    /// Domains without ports (`_match_domain_`): whole ones, `*.example.com`, or `example.*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
}

impl LimitScope {
    /// Whether it depends on the route.
    pub fn needs_route(&self) -> bool {
        !self.routes.is_empty() || !self.route_prefixes.is_empty()
    }

    /// Whether it has requests of this route to this host.
    ///
    /// ```
    /// let scope = spillway_config::LimitScope { domains: vec!["*.example.com".to_owned()], ..Default::default() };
    /// assert!(scope.has(None, Some("api.Example.com:8080")) && !scope.has(None, Some("example.org")));
    /// ```
    pub fn has(&self, route: Option<&str>, host: Option<&str>) -> bool {
        let is_route = || {
            route.is_some_and(|route| {
                self.routes.iter().any(|own| own == route)
                    || self
                        .route_prefixes
                        .iter()
                        .any(|prefix| route.starts_with(prefix.as_str()))
            })
        };
        let is_domain = || {
            host.is_some_and(|host| {
                let host = without_port(host).to_ascii_lowercase();
                self.domains.iter().any(|own| is_domain(own, &host))
            })
        };
        (!self.needs_route() || is_route()) && (self.domains.is_empty() || is_domain())
    }
}

fn is_domain(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => host.ends_with(end),
        (_, Some(beginning)) => host.starts_with(beginning),
        _ => host == pattern,
    }
}

/// An IPv6 address in brackets has colons of its own.
fn without_port(host: &str) -> &str {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    }
}

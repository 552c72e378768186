//! Which hosts a configuration makes each component send to, and which of them `spin.toml` does not allow.

use std::collections::{BTreeMap, BTreeSet};

use crate::allowed_hosts::default_port;
use crate::{AllowedHosts, DifyService, Gateway, template};

const INGRESS: &str = "ingress";
const MODEL: &str = "model";
const RAG: &str = "rag";
const CONSOLE: &str = "console";

/// By component, the entries that its `allowed_outbound_hosts` needs: `scheme://host`, with `:port` where it is
/// not the scheme's own. Where a URL has a template, so has the entry.
pub fn outbound_hosts(gateway: &Gateway) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut hosts: BTreeMap<&'static str, BTreeSet<String>> = [INGRESS, MODEL, RAG, CONSOLE]
        .map(|component| (component, BTreeSet::new()))
        .into();
    let mut add = |component, url: &str| {
        if !url.is_empty() {
            hosts.entry(component).or_default().insert(entry(url));
        }
    };
    for api in &gateway.agents {
        for service in DifyService::ALL {
            add(INGRESS, api.services.url(service).unwrap_or_default());
        }
        add(INGRESS, api.url.as_deref().unwrap_or_default());
    }
    for provider in &gateway.providers {
        for url in provider.urls() {
            add(MODEL, url);
        }
    }
    for api in &gateway.knowledge {
        add(RAG, api.backend.base_url());
    }
    for component in [INGRESS, MODEL, RAG, CONSOLE] {
        add(component, &gateway.state.redis);
    }
    hosts
}

/// What is missing from `allowed`, as component and entry to add. A component that is not in `allowed` has none.
pub fn missing_hosts(
    gateway: &Gateway,
    allowed: &BTreeMap<String, AllowedHosts>,
) -> Vec<(&'static str, String)> {
    let mut missing = Vec::new();
    for (component, entries) in outbound_hosts(gateway) {
        for entry in entries {
            if !allowed
                .get(component)
                .is_some_and(|allowed| allows(allowed, &entry))
            {
                missing.push((component, entry));
            }
        }
    }
    missing
}

fn allows(allowed: &AllowedHosts, entry: &str) -> bool {
    if template::is_templated(entry) {
        return allowed.allows_template(entry);
    }
    let Some((scheme, authority)) = entry.split_once("://") else {
        return false;
    };
    let (host, port) = split_port(authority);
    allowed.allows(scheme, host, port.parse().ok())
}

/// The entry for a URL that passed the checks.
fn entry(url: &str) -> String {
    let url = template::canonical(url.trim());
    let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
        .to_ascii_lowercase();
    if scheme.is_empty() {
        return authority;
    }
    let (host, port) = split_port(&authority);
    match port.parse().ok() {
        Some(number) if default_port(scheme) == Some(number) => format!("{scheme}://{host}"),
        // Spin knows no port for `rediss`, and compares the missing one with none.
        None if scheme == "rediss" && port.is_empty() && !host.ends_with("}}") => {
            format!("{scheme}://{host}:*")
        }
        _ => format!("{scheme}://{authority}"),
    }
}

/// Splits `host:port`; the colons inside of an IPv6 address's brackets are its own.
fn split_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    #[test]
    fn an_entry_is_scheme_host_and_port() {
        for (url, expected) in [
            ("http://api:5001", "http://api:5001"),
            ("http://API:80", "http://api"),
            ("https://api.openai.com/v1", "https://api.openai.com"),
            ("https://h:443/v1", "https://h"),
            ("https://h:80", "https://h:80"),
            ("http://[::1]/v1", "http://[::1]"),
            ("http://[::1]:8000/v1", "http://[::1]:8000"),
            ("redis://user:pass@redis:6379/0", "redis://redis"),
            ("redis://:{{ password }}@redis:7000", "redis://redis:7000"),
            ("rediss://redis:6380/1", "rediss://redis:6380"),
            ("rediss://redis/1", "rediss://redis:*"),
            ("{{redis_url}}", "{{ redis_url }}"),
            ("{{ base }}/v1", "{{ base }}"),
            ("http://{{host}}:5001", "http://{{ host }}:5001"),
            ("http://{{host}}:{{port}}/x", "http://{{ host }}:{{ port }}"),
        ] {
            assert_eq!(entry(url), expected, "{url}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_named_with_its_component() {
        let checked = read(
            "state: { redis: 'redis://redis' }\n\
             agents: [{ name: a, services: { api: 'http://api:5001', web: 'http://web:3000' } }]\n\
             providers: [{ name: p, base_url: 'https://api.openai.com/v1' }, { name: q, base_url: '{{ own }}/v1' }]\n\
             knowledge: [{ name: k, backend: { type: ragflow, base_url: 'http://ragflow:9380', api_key: '{{ key }}' } }]\n",
        )
        .unwrap();
        let allowed = |entries: &[&str]| AllowedHosts::parse(entries).unwrap();
        let mut manifest = BTreeMap::from([
            (
                "ingress".to_owned(),
                allowed(&["http://*:5001", "redis://redis:6379"]),
            ),
            (
                "model".to_owned(),
                allowed(&["https://*.openai.com", "{{own}}"]),
            ),
        ]);
        assert_eq!(
            missing_hosts(&checked.gateway, &manifest),
            [
                ("console", "redis://redis".to_owned()),
                ("ingress", "http://web:3000".to_owned()),
                ("model", "redis://redis".to_owned()),
                ("rag", "http://ragflow:9380".to_owned()),
                ("rag", "redis://redis".to_owned()),
            ]
        );
        for component in ["ingress", "model", "rag", "console"] {
            manifest.insert(component.to_owned(), allowed(&["*://*:*"]));
        }
        assert!(missing_hosts(&checked.gateway, &manifest).is_empty());
    }

    #[test]
    fn an_empty_gateway_sends_nowhere() {
        let hosts = outbound_hosts(&Gateway::default());
        assert_eq!(
            hosts.keys().copied().collect::<Vec<_>>(),
            ["console", "ingress", "model", "rag"]
        );
        assert!(hosts.values().all(BTreeSet::is_empty));
    }
}

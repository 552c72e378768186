//! What is written shorter, or in several ways.

use spillway_config::{outbound_hosts, read};

#[test]
fn one_spelling_is_kept_of_what_has_several() {
    let text = "agents: [{ name: a, domains: [A.Example.Com], services: { api: 'http://api:5001/' },\n  \
                routes: [{ name: r, path: /, service: api, match: { headers: { X-App: a } } }] }]\n\
                models: [{ name: m, routes: [{ match: { model: [x, y] }, targets: [{ provider: p }] },\n  \
                { targets: [{ provider: p }] }] }]\n\
                providers: [{ name: p, base_url: 'http://p/v1/' }]\n\
                knowledge: [{ name: k, backend: { type: dify_compatible, base_url: 'http://k/dify/' } }]\n";
    let gateway = read(text).unwrap().gateway;
    let (agent, model) = (&gateway.agents[0], &gateway.models[0]);
    assert_eq!(agent.domains, ["a.example.com"]);
    assert_eq!(agent.services.api.as_deref(), Some("http://api:5001"));
    assert_eq!(
        agent.routes[0]
            .conditions
            .headers
            .keys()
            .collect::<Vec<_>>(),
        ["x-app"]
    );
    assert_eq!(
        model
            .routes
            .iter()
            .map(|route| route.name.as_str())
            .collect::<Vec<_>>(),
        ["x", "default"]
    );
    assert_eq!(
        gateway.providers[0].base_url.as_deref(),
        Some("http://p/v1")
    );
    assert_eq!(gateway.knowledge[0].backend.base_url(), "http://k/dify");
}

#[test]
fn the_url_of_a_vendor_is_written_out_where_none_is() {
    let text = "providers: [{ name: a, type: claude }, { name: b, type: deepseek, base_url: 'http://b/' },\n  \
                { name: c, type: openai, endpoints: ['http://c/v1'] }]\n";
    let gateway = read(text).unwrap().gateway;
    let written = gateway
        .providers
        .iter()
        .map(|provider| (provider.base_url.as_deref(), provider.urls().collect()));
    let expected: [(Option<&str>, Vec<&str>); 3] = [
        (
            Some("https://api.anthropic.com"),
            vec!["https://api.anthropic.com"],
        ),
        (Some("http://b"), vec!["http://b"]),
        (None, vec!["http://c/v1"]),
    ];
    assert_eq!(written.collect::<Vec<_>>(), expected);
    let hosts = outbound_hosts(&gateway);
    assert!(hosts["model"].contains("https://api.anthropic.com"));
}

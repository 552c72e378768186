//! The normal form says the same as what it was made of, whoever reads it.
#![expect(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use spillway_config::{
    AgentApi, AgentProtocol, AgentRoute, AgentTimeouts, ByteSize, Consumer, Credential,
    DifyService, DifyServices, Fallback, FallbackCondition, Gateway, ModelApi, ModelMatch,
    ModelPolicies, ModelRoute, PathMatch, Provider, ProviderType, RequestMatch, State,
    StatusPattern, Target, TimeSpan, ValueMatch, normal_form, parse_normal_form, read,
};

/// Everything that a document can have.
const VALID: &str = include_str!("documents/everything.yaml");

#[test]
fn everything_that_a_document_can_have_is_read() {
    let checked = read(VALID).unwrap();
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    let again = parse_normal_form(&normal_form(&checked.gateway)).unwrap();
    assert_eq!(again, checked.gateway);
    // The normal form is a document as well, and says the same.
    assert_eq!(read(&normal_form(&checked.gateway)).unwrap(), checked);
    // Whatever the platform made of line breaks, and with a byte order mark.
    assert_eq!(
        read(&format!("\u{feff}{}", VALID.replace('\n', "\r\n"))).unwrap(),
        checked
    );
}

#[test]
fn one_spelling_is_kept_of_what_has_several() {
    let text = "agents: [{ name: a, domains: [A.Example.Com], services: { api: 'http://api:5001/' },\n  \
                routes: [{ name: r, path: /, service: api, match: { headers: { X-App: a } } }] }]\n\
                models: [{ name: m, routes: [{ match: { model: [x, y] }, targets: [{ provider: p }] },\n  \
                { targets: [{ provider: p }] }] }]\n\
                providers: [{ name: p, base_url: 'http://p/v1/' }]\n";
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
    assert_eq!(gateway.providers[0].base_url, "http://p/v1");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_normal_form_loses_nothing(gateway in gateways()) {
        let json = normal_form(&gateway);
        prop_assert_eq!(parse_normal_form(&json).unwrap(), gateway);
    }
}

fn time_spans() -> impl Strategy<Value = TimeSpan> {
    (0..=86_400_000_u64).prop_map(TimeSpan::from_millis)
}

fn value_matches() -> impl Strategy<Value = ValueMatch> {
    prop_oneof![
        any::<String>().prop_map(ValueMatch::Exact),
        any::<String>().prop_map(|prefix| ValueMatch::Prefix { prefix }),
        any::<bool>().prop_map(|present| ValueMatch::Present { present }),
    ]
}

fn agent_routes() -> impl Strategy<Value = AgentRoute> {
    let path = prop_oneof![
        any::<String>().prop_map(PathMatch::Prefix),
        any::<String>().prop_map(|exact| PathMatch::Exact { exact }),
    ];
    let values = || prop::collection::btree_map(any::<String>(), value_matches(), 0..3);
    let services = vec![
        DifyService::Api,
        DifyService::Web,
        DifyService::PluginDaemon,
    ];
    let methods = prop::collection::vec(any::<String>(), 0..2);
    (
        any::<String>(),
        path,
        methods,
        values(),
        values(),
        prop::sample::select(services),
    )
        .prop_map(
            |(name, path, methods, headers, query, service)| AgentRoute {
                name,
                path,
                methods,
                conditions: RequestMatch { headers, query },
                service,
            },
        )
}

fn agents() -> impl Strategy<Value = AgentApi> {
    let url = || prop::option::of(any::<String>());
    let services = (url(), url(), url()).prop_map(|(api, web, plugin_daemon)| DifyServices {
        api,
        web,
        plugin_daemon,
    });
    let timeouts =
        (time_spans(), time_spans(), time_spans()).prop_map(|(connect, first_byte, idle)| {
            AgentTimeouts {
                connect,
                first_byte,
                idle,
            }
        });
    let domains = prop::collection::vec(any::<String>(), 0..3);
    let routes = prop::collection::vec(agent_routes(), 0..3);
    (
        any::<String>(),
        domains,
        any::<String>(),
        any::<bool>(),
        services,
        routes,
        timeouts,
    )
        .prop_map(
            |(name, domains, base_path, strip_base_path, services, routes, timeouts)| AgentApi {
                name,
                protocol: AgentProtocol::Dify,
                domains,
                base_path,
                strip_base_path,
                services,
                routes,
                timeouts,
            },
        )
}

fn fallbacks() -> impl Strategy<Value = Fallback> {
    let condition = prop_oneof![
        prop::sample::select(vec![
            FallbackCondition::ConnectError,
            FallbackCondition::Timeout,
            FallbackCondition::FirstTokenTimeout,
            FallbackCondition::Reset,
            FallbackCondition::Truncated,
        ]),
        (400..=599_u16).prop_map(|status| FallbackCondition::Status(StatusPattern::Exact(status))),
        (4..=5_u16).prop_map(|class| FallbackCondition::Status(StatusPattern::Class(class))),
    ];
    (
        prop::collection::vec(condition, 0..4),
        any::<u32>(),
        time_spans(),
        time_spans(),
    )
        .prop_map(|(on, max_attempts, deadline, keep_alive)| Fallback {
            on,
            max_attempts,
            deadline,
            keep_alive,
        })
}

fn models() -> impl Strategy<Value = ModelApi> {
    let texts = || prop::collection::vec(any::<String>(), 0..3);
    let target = (
        any::<String>(),
        prop::option::of(any::<String>()),
        time_spans(),
        prop::option::of(time_spans()),
    )
        .prop_map(|(provider, model, timeout, first_token_timeout)| Target {
            provider,
            model,
            timeout,
            first_token_timeout,
        });
    let targets = prop::collection::vec(target, 0..3);
    let route = (any::<String>(), texts(), targets, fallbacks()).prop_map(
        |(name, model, targets, fallback)| ModelRoute {
            name,
            conditions: ModelMatch { model },
            targets,
            fallback,
        },
    );
    let size = any::<u64>().prop_map(ByteSize::from_bytes);
    let routes = prop::collection::vec(route, 0..3);
    (
        any::<String>(),
        any::<String>(),
        size,
        prop::option::of(texts()),
        routes,
    )
        .prop_map(|(name, base_path, max_body_size, auth, routes)| ModelApi {
            name,
            base_path,
            max_body_size,
            policies: ModelPolicies { auth },
            routes,
        })
}

fn gateways() -> impl Strategy<Value = Gateway> {
    let texts = || prop::collection::vec(any::<String>(), 0..3);
    let consumer = (any::<String>(), texts()).prop_map(|(name, keys)| Consumer {
        name,
        credentials: keys.into_iter().map(Credential::ApiKey).collect(),
    });
    let provider =
        (any::<String>(), any::<String>(), texts()).prop_map(|(name, base_url, api_keys)| {
            Provider {
                name,
                provider_type: ProviderType::OpenaiCompatible,
                base_url,
                api_keys,
            }
        });
    let network = (any::<std::net::IpAddr>(), 0..=32_u8)
        .prop_map(|(address, length)| ipnet::IpNet::new(address, length).unwrap());
    (
        any::<String>(),
        prop::collection::vec(network, 0..3),
        prop::collection::vec(consumer, 0..3),
        prop::collection::vec(agents(), 0..3),
        prop::collection::vec(models(), 0..3),
        prop::collection::vec(provider, 0..3),
    )
        .prop_map(
            |(redis, trusted_proxies, consumers, agents, models, providers)| Gateway {
                state: State { redis },
                trusted_proxies,
                consumers,
                agents,
                models,
                providers,
            },
        )
}

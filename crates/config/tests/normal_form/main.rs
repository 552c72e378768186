//! The normal form says the same as what it was made of, whoever reads it.
#![expect(clippy::unwrap_used, reason = "a test")]

mod limits;
mod models;
mod spellings;

use limits::{rate_limits, token_limits};
use models::{consumers, models, providers};
use proptest::prelude::*;
use spillway_config::{
    Admin, AgentApiConfig, AgentPolicies, AgentProtocol, AgentRoute, AgentTimeouts, ByteSize,
    CorsConfig, DifyCompatibleBackend, DifyService, DifyServices, Gateway, KnowledgeApiConfig,
    KnowledgeBackend, KnowledgePolicies, LogConfig, LogFormat, LogLevel, OnError, PathMatch,
    RagflowBackend, RequestMatch, StateConfig, Telemetry, TimeSpan, ValueMatch, normal_form,
    parse_normal_form, read,
};

/// Everything that a document can have.
const VALID: &str = include_str!("../documents/everything.yaml");

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
        any::<String>().prop_map(|regex| ValueMatch::Regex { regex }),
        any::<bool>().prop_map(|present| ValueMatch::Present { present }),
    ]
}

fn path_matches() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        any::<String>().prop_map(PathMatch::Prefix),
        any::<String>().prop_map(|exact| PathMatch::Exact { exact }),
        any::<String>().prop_map(|regex| PathMatch::Regex { regex }),
    ]
}

fn agent_routes() -> impl Strategy<Value = AgentRoute> {
    let path = path_matches();
    let values = || prop::collection::btree_map(any::<String>(), value_matches(), 0..3);
    let services = prop::option::of(prop::sample::select(DifyService::ALL.to_vec()));
    let methods = prop::collection::vec(any::<String>(), 0..2);
    (any::<String>(), path, methods, values(), values(), services).prop_map(
        |(name, path, methods, headers, query, service)| AgentRoute {
            name,
            path,
            methods,
            conditions: RequestMatch { headers, query },
            service,
        },
    )
}

fn cross_origin_rules() -> impl Strategy<Value = CorsConfig> {
    let texts = || prop::collection::vec(any::<String>(), 0..3);
    (
        texts(),
        texts(),
        texts(),
        texts(),
        any::<bool>(),
        time_spans(),
    )
        .prop_map(
            |(
                allow_origins,
                allow_methods,
                allow_headers,
                expose_headers,
                allow_credentials,
                max_age,
            )| CorsConfig {
                allow_origins,
                allow_methods,
                allow_headers,
                expose_headers,
                allow_credentials,
                max_age,
            },
        )
}

fn agents() -> impl Strategy<Value = AgentApiConfig> {
    let url = || prop::option::of(any::<String>());
    let services = (url(), url(), url(), url()).prop_map(|(api, web, plugin_daemon, socket_io)| {
        DifyServices {
            api,
            web,
            plugin_daemon,
            socket_io,
        }
    });
    let span = time_spans;
    let timeouts = (span(), span(), span(), span(), span(), span(), span()).prop_map(
        |(connect, first_byte, run_first_byte, idle, stream_idle, ceiling, websocket)| {
            AgentTimeouts {
                connect,
                first_byte,
                run_first_byte,
                idle,
                stream_idle,
                ceiling,
                websocket,
            }
        },
    );
    let policies = (
        prop::collection::vec(rate_limits(), 0..2),
        prop::collection::vec(token_limits(), 0..2),
        prop::option::of(cross_origin_rules()),
    )
        .prop_map(|(rate_limits, token_limits, cors)| AgentPolicies {
            rate_limits,
            token_limits,
            cors,
        });
    let protocols = prop::sample::select(vec![AgentProtocol::Dify, AgentProtocol::Http]);
    let place = (
        prop::collection::vec(any::<String>(), 0..3),
        any::<String>(),
        any::<[bool; 2]>(),
        url(),
    );
    (
        any::<String>(),
        protocols,
        place,
        services,
        any::<u32>(),
        policies,
        prop::collection::vec(agent_routes(), 0..3),
        timeouts,
    )
        .prop_map(
            |(name, protocol, place, services, size, policies, routes, timeouts)| {
                let (domains, base_path, [strip_base_path, redirect_to_https], url) = place;
                AgentApiConfig {
                    name,
                    protocol,
                    domains,
                    base_path,
                    strip_base_path,
                    redirect_to_https,
                    services,
                    url,
                    max_body_size: ByteSize::from_bytes(size.into()),
                    policies,
                    routes,
                    timeouts,
                }
            },
        )
}

fn knowledge() -> impl Strategy<Value = KnowledgeApiConfig> {
    let texts = || prop::collection::vec(any::<String>(), 0..3);
    let share = || (0..=1000_u32).prop_map(|thousandths| f64::from(thousandths) / 1000.0);
    let ragflow = (
        (any::<String>(), any::<String>(), texts(), texts(), texts()),
        (share(), share(), any::<u32>()),
        prop::option::of(any::<String>()),
        any::<[bool; 3]>(),
    )
        .prop_map(
            |(texts, (similarity_threshold, vector_similarity_weight, top_k), rerank_id, flags)| {
                let (base_url, api_key, dataset_ids, document_ids, cross_languages) = texts;
                let [keyword, use_kg, toc_enhance] = flags;
                KnowledgeBackend::Ragflow(RagflowBackend {
                    base_url,
                    api_key: api_key.into(),
                    dataset_ids,
                    document_ids,
                    similarity_threshold,
                    vector_similarity_weight,
                    top_k,
                    rerank_id,
                    keyword,
                    cross_languages,
                    use_kg,
                    toc_enhance,
                })
            },
        );
    let dify_compatible = (any::<String>(), any::<String>()).prop_map(|(base_url, api_key)| {
        KnowledgeBackend::DifyCompatible(DifyCompatibleBackend {
            base_url,
            api_key: api_key.into(),
        })
    });
    (
        any::<String>(),
        texts(),
        time_spans(),
        any::<bool>(),
        prop_oneof![ragflow, dify_compatible],
    )
        .prop_map(
            |(name, api_keys, deadline, log_queries, backend)| KnowledgeApiConfig {
                name,
                api_keys: api_keys.into_iter().map(Into::into).collect(),
                deadline,
                log_queries,
                policies: KnowledgePolicies::default(),
                backend,
            },
        )
}

fn telemetry() -> impl Strategy<Value = Telemetry> {
    let formats = prop::sample::select(vec![LogFormat::Text, LogFormat::Json]);
    let levels = prop::sample::select(vec![
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
    ]);
    (formats, levels).prop_map(|(format, level)| Telemetry {
        log: LogConfig { format, level },
    })
}

fn gateways() -> impl Strategy<Value = Gateway> {
    let network = (any::<std::net::IpAddr>(), 0..=32_u8)
        .prop_map(|(address, length)| ipnet::IpNet::new(address, length).unwrap());
    (
        (
            any::<String>(),
            prop::sample::select(vec![OnError::Allow, OnError::Deny]),
            time_spans(),
            any::<u32>(),
            any::<String>(),
        ),
        (telemetry(), any::<String>()),
        prop::collection::vec(network, 0..3),
        prop::collection::vec(consumers(), 0..3),
        prop::collection::vec(agents(), 0..3),
        prop::collection::vec(models(), 0..3),
        prop::collection::vec(providers(), 0..3),
        prop::collection::vec(knowledge(), 0..3),
    )
        .prop_map(
            |(
                (redis, on_error, timeout, new_values_per_second, digest_key),
                (telemetry, admin_token),
                trusted_proxies,
                consumers,
                agents,
                models,
                providers,
                knowledge,
            )| Gateway {
                state: StateConfig {
                    redis: redis.into(),
                    on_error,
                    timeout,
                    new_values_per_second,
                    digest_key: digest_key.into(),
                },
                telemetry,
                trusted_proxies,
                consumers,
                agents,
                models,
                providers,
                knowledge,
                admin: Admin {
                    token: admin_token.into(),
                },
            },
        )
}

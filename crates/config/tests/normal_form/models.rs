//! Strategies for model APIs, providers and consumers.

use proptest::prelude::*;
use spillway_config::{
    ByteSize, CircuitBreaker, Consumer, ContextWindow, Credential, Fallback, FallbackCondition,
    HmacCredential, LbPolicy, LoadBalance, ModelApiConfig, ModelMatch, ModelPolicies, ModelRoute,
    Moment, OnExceeded, Parameters, Provider, ProviderKey, ProviderType, StatusPattern,
    TargetConfig,
};

use crate::{path_matches, rate_limits, time_spans, token_limits, value_matches};

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any::<String>(), 0..3)
}

fn fallbacks() -> impl Strategy<Value = Fallback> {
    let condition = prop_oneof![
        prop::sample::select(vec![
            FallbackCondition::ConnectError,
            FallbackCondition::Timeout,
            FallbackCondition::FirstTokenTimeout,
            FallbackCondition::Reset,
            FallbackCondition::Truncated,
            FallbackCondition::ContextLength,
            FallbackCondition::ContentFilter,
            FallbackCondition::GatewayRefusal,
        ]),
        (400..=599_u16).prop_map(|status| FallbackCondition::Status(StatusPattern::Exact(status))),
        (4..=5_u16).prop_map(|class| FallbackCondition::Status(StatusPattern::Class(class))),
    ];
    (
        prop::collection::vec(condition, 0..4),
        any::<u32>(),
        time_spans(),
        time_spans(),
        time_spans(),
        any::<bool>(),
    )
        .prop_map(
            |(on, max_attempts, deadline, back_off, keep_alive, embeddings_across_models)| {
                Fallback {
                    on,
                    max_attempts,
                    deadline,
                    back_off,
                    keep_alive,
                    embeddings_across_models,
                }
            },
        )
}

fn windows() -> impl Strategy<Value = Option<ContextWindow>> {
    let window = (any::<u64>(), any::<bool>()).prop_map(|(max_input_tokens, is_next)| {
        let on_exceeded = if is_next {
            OnExceeded::Next
        } else {
            OnExceeded::Refuse
        };
        ContextWindow {
            max_input_tokens,
            on_exceeded,
        }
    });
    prop::option::of(window)
}

pub fn models() -> impl Strategy<Value = ModelApiConfig> {
    let target = (
        any::<String>(),
        prop::option::of(any::<String>()),
        prop::collection::btree_map(any::<String>(), any::<String>(), 0..2),
        prop::option::of(any::<u32>()),
        prop::option::of(time_spans()),
        prop::option::of(time_spans()),
        windows(),
    )
        .prop_map(
            |(provider, model, models, weight, timeout, first_token_timeout, context_window)| {
                TargetConfig {
                    context_window,
                    provider,
                    model,
                    models,
                    weight,
                    timeout,
                    first_token_timeout,
                }
            },
        );
    let targets = prop::collection::vec(target, 0..3);
    let number = || any::<u32>().prop_map(serde_json::Number::from);
    let values = || {
        let value = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        prop::collection::btree_map(any::<String>(), value, 0..3)
    };
    let caps = prop::collection::btree_map(any::<String>(), number(), 0..3);
    let parameters = (values(), caps, values()).prop_map(|(defaults, caps, forced)| Parameters {
        defaults,
        caps,
        forced,
    });
    let conditions = (
        texts(),
        prop::option::of(path_matches()),
        prop::collection::btree_map(any::<String>(), value_matches(), 0..2),
        texts(),
    )
        .prop_map(|(model, path, headers, consumers)| ModelMatch {
            model,
            path,
            headers,
            consumers,
        });
    let auth = prop::option::of(texts());
    let route = (
        any::<String>(),
        conditions,
        auth,
        targets,
        parameters,
        fallbacks(),
        (windows(), any::<Option<u64>>()),
    )
        .prop_map(
            |(name, conditions, auth, targets, parameters, fallback, sizes)| ModelRoute {
                context_window: sizes.0,
                max_output_tokens: sizes.1,
                name,
                conditions,
                auth,
                targets,
                parameters,
                fallback,
            },
        );
    let size = any::<u64>().prop_map(ByteSize::from_bytes);
    let routes = prop::collection::vec(route, 0..3);
    (
        any::<String>(),
        any::<String>(),
        size,
        (
            prop::option::of(texts()),
            prop::option::of(any::<String>()),
            prop::collection::vec(rate_limits(), 0..2),
            prop::collection::vec(token_limits(), 0..2),
        )
            .prop_map(
                |(auth, api_key_query, rate_limits, token_limits)| ModelPolicies {
                    auth,
                    api_key_query,
                    rate_limits,
                    token_limits,
                },
            ),
        routes,
    )
        .prop_map(
            |(name, base_path, max_body_size, policies, routes)| ModelApiConfig {
                name,
                base_path,
                max_body_size,
                policies,
                routes,
            },
        )
}

pub fn consumers() -> impl Strategy<Value = Consumer> {
    let credential = prop_oneof![
        any::<String>().prop_map(|key| Credential::ApiKey(key.into())),
        (any::<String>(), any::<String>(), time_spans()).prop_map(
            |(access_key, secret_key, clock_skew)| Credential::Hmac(HmacCredential {
                access_key,
                secret_key: secret_key.into(),
                clock_skew,
            })
        ),
    ];
    (
        any::<String>(),
        prop::collection::vec(credential, 0..3),
        prop::option::of(texts()),
    )
        .prop_map(|(name, credentials, models)| Consumer {
            name,
            credentials,
            models,
        })
}

pub fn providers() -> impl Strategy<Value = Provider> {
    let moment = || prop::option::of((0..4_000_000_000_u64).prop_map(Moment::from_unix_seconds));
    let key = (any::<String>(), any::<u32>(), moment(), moment()).prop_map(
        |(key, weight, not_before, expires)| ProviderKey {
            key: key.into(),
            weight,
            not_before,
            expires,
        },
    );
    let breaker =
        (any::<u32>(), any::<u32>(), time_spans()).prop_map(|(failures, of, open_for)| {
            CircuitBreaker {
                failures,
                of,
                open_for,
            }
        });
    (
        any::<String>(),
        any::<Option<String>>(),
        texts(),
        prop::collection::vec(key, 0..3),
        (texts(), any::<Option<bool>>(), any::<bool>(), any::<bool>()),
        breaker,
    )
        .prop_map(
            |(
                name,
                base_url,
                endpoints,
                api_keys,
                (forward_headers, stream_options, is_least, is_anthropic),
                breaker,
            )| {
                Provider {
                    name,
                    provider_type: ProviderType::named(if is_anthropic {
                        "anthropic"
                    } else {
                        "openai_compatible"
                    })
                    .unwrap(),
                    base_url,
                    endpoints,
                    api_keys,
                    forward_headers,
                    stream_options,
                    breaker,
                    load_balance: LoadBalance {
                        lb_policy: if is_least {
                            LbPolicy::LeastRequest
                        } else {
                            LbPolicy::RoundRobin
                        },
                    },
                }
            },
        )
}

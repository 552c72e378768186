//! Strategies for limits.

use proptest::prelude::*;
use spillway_config::{
    AddressSource, Argument, HigressRedis, LimitBy, LimitKey, LimitScope, OnError, Quota,
    RateLimit, RequestQuota, ReserveMode, RuleItem, Source, TokenKind, TokenLimit, TokenQuota,
};

fn request_quotas() -> impl Strategy<Value = RequestQuota> {
    any::<[Option<u32>; 5]>().prop_map(|[second, minute, hour, day, in_flight]| RequestQuota {
        query_per_second: second,
        query_per_minute: minute,
        query_per_hour: hour,
        query_per_day: day,
        concurrency: in_flight,
    })
}

fn token_quotas() -> impl Strategy<Value = TokenQuota> {
    any::<[Option<u64>; 4]>().prop_map(|[second, minute, hour, day]| TokenQuota {
        token_per_second: second,
        token_per_minute: minute,
        token_per_hour: hour,
        token_per_day: day,
    })
}

fn items<Q: Quota>(quotas: impl Strategy<Value = Q>) -> impl Strategy<Value = Vec<RuleItem<Q>>> {
    let by = prop_oneof![
        "[a-z-]{0,8}".prop_map(|name| (Source::Header, Argument::Name(name))),
        any::<String>().prop_map(|name| (Source::Param, Argument::Name(name))),
        any::<String>().prop_map(|name| (Source::Cookie, Argument::Name(name))),
        "[a-z-]{1,8}".prop_map(|name| {
            let source = AddressSource::Header(name);
            (Source::Address, Argument::Address(source))
        }),
        Just((
            Source::Address,
            Argument::Address(AddressSource::RemoteAddress)
        )),
        prop::sample::select(vec![
            Source::Consumer,
            Source::Model,
            Source::DifyApp,
            Source::EndUser,
            Source::Route,
            Source::Service,
        ])
        .prop_map(|source| (source, Argument::Nothing)),
    ]
    .prop_map(|(source, argument)| LimitBy::of(source, argument).unwrap());
    let key = (any::<String>(), quotas).prop_map(|(key, quota)| LimitKey { key, quota });
    let item = (by, any::<bool>(), prop::collection::vec(key, 0..3)).prop_map(
        |(by, per_value, limit_keys)| RuleItem {
            by,
            per_value,
            limit_keys,
        },
    );
    prop::collection::vec(item, 0..3)
}

fn scopes() -> impl Strategy<Value = LimitScope> {
    let texts = || prop::collection::vec(any::<String>(), 0..2);
    (texts(), texts(), texts()).prop_map(|(routes, route_prefixes, domains)| LimitScope {
        routes,
        route_prefixes,
        domains,
    })
}

/// What both kinds of limits have.
#[derive(Debug, Clone)]
struct Common {
    rule_name: String,
    applies_to: Option<LimitScope>,
    except: Vec<LimitScope>,
    show_limit_quota_header: bool,
    rejected_code: u16,
    rejected_msg: Option<String>,
    on_error: Option<OnError>,
    dry_run: bool,
    redis: Option<HigressRedis>,
}

fn common() -> impl Strategy<Value = Common> {
    (
        any::<String>(),
        prop::option::of(scopes()),
        prop::collection::vec(scopes(), 0..2),
        any::<[bool; 2]>(),
        any::<u16>(),
        prop::option::of(any::<String>()),
        prop::option::of(prop::sample::select(vec![OnError::Allow, OnError::Deny])),
        any::<Option<(Option<String>, Option<u16>, Option<u32>)>>(),
    )
        .prop_map(
            |(rule_name, applies_to, except, flags, code, message, on_error, redis)| {
                let [show_limit_quota_header, dry_run] = flags;
                Common {
                    rule_name,
                    applies_to,
                    except,
                    show_limit_quota_header,
                    rejected_code: code,
                    rejected_msg: message,
                    on_error,
                    dry_run,
                    redis: redis.map(|(text, service_port, number)| HigressRedis {
                        service_name: text.clone(),
                        service_port,
                        username: text.clone(),
                        password: text,
                        timeout: number,
                        database: number,
                    }),
                }
            },
        )
}

pub fn rate_limits() -> impl Strategy<Value = RateLimit> {
    let global = prop::option::of(request_quotas());
    (common(), global, items(request_quotas())).prop_map(
        |(common, global_threshold, rule_items)| RateLimit {
            rule_name: common.rule_name,
            applies_to: common.applies_to,
            except: common.except,
            global_threshold,
            rule_items,
            show_limit_quota_header: common.show_limit_quota_header,
            rejected_code: common.rejected_code,
            rejected_msg: common.rejected_msg,
            on_error: common.on_error,
            dry_run: common.dry_run,
            redis: common.redis,
        },
    )
}

pub fn token_limits() -> impl Strategy<Value = TokenLimit> {
    let global = prop::option::of(token_quotas());
    let kinds = prop::sample::select(vec![TokenKind::Total, TokenKind::Input, TokenKind::Output]);
    let modes = prop::sample::select(vec![
        ReserveMode::Expected,
        ReserveMode::Max,
        ReserveMode::None,
    ]);
    (common(), global, items(token_quotas()), kinds, modes).prop_map(
        |(common, global_threshold, rule_items, token_kind, reserve)| TokenLimit {
            rule_name: common.rule_name,
            applies_to: common.applies_to,
            except: common.except,
            global_threshold,
            rule_items,
            token_kind,
            reserve,
            show_limit_quota_header: common.show_limit_quota_header,
            rejected_code: common.rejected_code,
            rejected_msg: common.rejected_msg,
            on_error: common.on_error,
            dry_run: common.dry_run,
            redis: common.redis,
        },
    )
}

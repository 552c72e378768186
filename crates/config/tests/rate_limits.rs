//! Request limits as Higress' users write them.
#![expect(clippy::panic, reason = "a test")]

use spillway_config::{
    AddressSource, Argument, Gateway, KeyPattern, LimitBy, LimitKey, OnError, Quota, RateLimit,
    RequestQuota, RuleItem, Source, normal_form, parse_normal_form, read,
};

/// As the Alibaba Cloud guide shows it, to the letter.
const GUIDE: &str = "\
rule_name: dify_higress_demo_rule
rule_items:
- Limit_by_header: x-app-id
  limit_keys:
  - key: 9a342******************3e1250b5
    query_per_minute: 1
redis:
  service_name: dify-redis.dns
show_limit_quota_header: true
";

/// A gateway with these limits on both kinds of API.
fn document(limits: &str) -> String {
    let indented: String = limits
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    format!(
        "state: {{ redis: 'redis://redis' }}\n\
         consumers: [{{ name: dify, credentials: [{{ api_key: '{{{{ key }}}}' }}] }}]\n\
         agents:\n  - name: a\n    services: {{ api: 'http://api:5001' }}\n    policies:\n      rate_limits:\n        -\n{indented}\
         models:\n  - name: m\n    routes: [{{ targets: [{{ provider: p }}] }}]\n    policies:\n      auth: [dify]\n      rate_limits:\n        -\n{indented}\
         providers: [{{ name: p, base_url: 'http://p/v1' }}]\n"
    )
}

fn load(limits: &str) -> (Gateway, Vec<String>) {
    let checked = read(&document(limits)).unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"));
    let warnings = checked.warnings.into_iter();
    (
        checked.gateway,
        warnings.map(|warning| warning.message).collect(),
    )
}

fn per_minute(limit: u32) -> RequestQuota {
    RequestQuota {
        query_per_minute: Some(limit),
        ..RequestQuota::default()
    }
}

#[expect(clippy::unwrap_used, reason = "a test")]
fn by_header(name: &str) -> LimitBy {
    LimitBy::of(Source::Header, Argument::Name(name.to_owned())).unwrap()
}

#[test]
fn the_guides_document_loads_as_it_stands() {
    let (gateway, warnings) = load(GUIDE);
    let expected = RateLimit {
        rule_name: "dify_higress_demo_rule".to_owned(),
        applies_to: None,
        except: Vec::new(),
        global_threshold: None,
        rule_items: vec![RuleItem {
            by: by_header("x-app-id"),
            per_value: false,
            limit_keys: vec![LimitKey {
                key: "9a342******************3e1250b5".to_owned(),
                quota: per_minute(1),
            }],
        }],
        show_limit_quota_header: true,
        rejected_code: 429,
        rejected_msg: None,
        on_error: None,
        dry_run: false,
        redis: None,
    };
    assert_eq!(
        gateway.agents[0].policies.rate_limits,
        std::slice::from_ref(&expected)
    );
    assert_eq!(gateway.models[0].policies.rate_limits, [expected]);
    // One for each place it stands in, and one for the key that the counts' digests lack.
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    let of = |part: &str| warnings.iter().filter(|text| text.contains(part)).count();
    assert_eq!((of("`state.redis`"), of("`state.digest_key`")), (2, 1));
    let limit = &gateway.agents[0].policies.rate_limits[0];
    let item = &limit.rule_items[0];
    assert_eq!(
        item.pattern(&item.limit_keys[0]).unwrap(),
        KeyPattern::Exact("9a342******************3e1250b5")
    );
}

#[test]
fn whatever_higress_knows_is_read_and_its_password_goes_no_further() {
    let (gateway, _) = load(
        "Rule_name: everything\n\
         Rule_items:\n\
         - limit_by_per_ip: from-header-X-Forwarded-For\n  Limit_keys:\n  - Key: 10.0.0.7/8\n    Query_per_second: 1\n    query_per_day: 4\n\
         - limit_by_consumer: ''\n  limit_keys: [{ key: dify, query_per_hour: 3 }]\n\
         - limit_by_per_header: X-Team\n  limit_keys: [{ key: 'regexp:^a.*$', query_per_minute: 2 }, { key: '*', query_per_minute: 1 }]\n\
         show_limit_quota_header: false\n\
         rejected_code: 503\n\
         rejected_msg: 'slow down'\n\
         redis: { service_name: r.static, service_port: 6379, username: u, password: secret, timeout: 1000, database: 2 }\n",
    );
    let limit = &gateway.agents[0].policies.rate_limits[0];
    assert_eq!((limit.rejected_code, limit.redis.clone()), (503, None));
    assert_eq!(limit.rejected_msg.as_deref(), Some("slow down"));
    let [address, consumer, header] = limit.rule_items.as_slice() else {
        panic!("{limit:?}")
    };
    assert_eq!(
        address.by,
        LimitBy::of(
            Source::Address,
            Argument::Address(AddressSource::Header("x-forwarded-for".to_owned()))
        )
        .unwrap()
    );
    assert_eq!(
        address.pattern(&address.limit_keys[0]).unwrap(),
        KeyPattern::Network("10.0.0.0/8".parse().unwrap())
    );
    assert_eq!(
        address.limit_keys[0]
            .quota
            .windows()
            .map(|(window, limit)| (window.seconds(), limit))
            .collect::<Vec<_>>(),
        [(1, 1), (86_400, 4)]
    );
    assert_eq!(
        (consumer.key(), consumer.per_value),
        ("limit_by_consumer", false)
    );
    assert_eq!(
        (header.key(), header.per_value),
        ("limit_by_per_header", true)
    );
    assert_eq!(header.by, by_header("x-team"));
    assert!(!normal_form(&gateway).contains("secret"));
}

#[test]
fn a_normal_form_says_the_same_again() {
    let (gateway, _) = load(
        "rule_name: r\nrule_items:\n\
         - limit_by_ip: from-remote-addr\n  limit_keys: [{ key: '::1', query_per_second: 1 }]\n\
         - limit_by_per_dify_app: ''\n  limit_keys: [{ key: '*', query_per_second: 1 }]\n\
         - limit_by_per_model: ''\n  limit_keys: [{ key: 'prefix:gpt-', query_per_second: 1 }]\n\
         on_error: deny\ndry_run: true\n",
    );
    let again = parse_normal_form(&normal_form(&gateway)).unwrap();
    assert_eq!(again, gateway);
    let limit = &gateway.agents[0].policies.rate_limits[0];
    assert_eq!((limit.on_error, limit.dry_run), (Some(OnError::Deny), true));
}

#[test]
fn keys_of_other_parts_keep_their_capitals() {
    let diagnostics = read("State: { redis: '' }\n").unwrap_err();
    assert!(
        diagnostics[0].message.contains("unknown key `State`"),
        "{diagnostics:?}"
    );
    // A route's condition on a header of that name is no rate limit, and means the same either way.
    let text = "agents: [{ name: a, services: { api: 'http://a' }, routes: [{ name: r, path: /, service: api, \
                match: { headers: { rate_limits: { prefix: A } } } }] }]";
    assert!(read(text).is_ok());
}

/// What Higress takes is taken as it stands.
#[test]
fn higress_documents_need_no_change() {
    let (gateway, _) = load(
        "rule_name: 限流规则\nglobal_threshold: { query_per_minute: 100 }\nrule_items:\n\
         - limit_by_header: x-app-id\n  limit_keys: [{ key: 771203, query_per_minute: 1 }]\n\
         - limit_by_header: x-app-id\n  limit_keys: [{ key: '*', query_per_day: 5 }]\n\
         redis: { service_name: redis.dns, service_port: 6379, username: , password: 123456 }\n",
    );
    let limit = &gateway.agents[0].policies.rate_limits[0];
    assert_eq!(limit.rule_name, "\u{9650}\u{6d41}\u{89c4}\u{5219}");
    assert_eq!(limit.rule_items[0].limit_keys[0].key, "771203");
    assert_eq!(limit.rule_items.len(), 2);
    assert!(limit.global_threshold.is_some());
}

#[test]
fn a_document_where_a_list_is_wanted_is_a_list_of_one() {
    let text = "agents: [{ name: a, services: { api: 'http://a' }, policies: { rate_limits: { rule_name: r, rule_items: \
                { Limit_by_header: x, Limit_keys: { key: k, query_per_minute: 1 } } } } }]";
    let gateway = read(text).unwrap().gateway;
    let limit = &gateway.agents[0].policies.rate_limits[0];
    assert_eq!(limit.rule_items[0].limit_keys[0].key, "k");
}

//! Token limits as Higress' users write them.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

use spillway_config::{
    Gateway, LimitScope, Quota, QuotaWindow, ReserveMode, TokenKind, TokenLimit, normal_form,
    parse_normal_form, read,
};

/// As Higress' documentation of `ai-token-ratelimit` and its console write it, the guide's number in it.
const HIGRESS: &str = "\
rule_name: default_rule
global_threshold:
  token_per_minute: 500
rejected_code: 429
rejected_msg: Too many requests
redis:
  service_name: redis.static
  service_port: 6379
  timeout: 1000
";

const RULES: &str = "\
_rules_:
- _match_route_:
  - fast
  rule_name: fast
  rule_items:
  - limit_by_per_consumer: ''
    limit_keys:
    - key: '*'
      token_per_day: 1000
- _match_domain_: '*.example.com'
  _match_route_prefix_: [s]
  Rule_name: domain
  global_threshold: { token_per_hour: 10 }
rule_name: rest
global_threshold: { token_per_second: 5 }
";

fn document(kind: &str, limits: &str) -> String {
    let indented: String = limits
        .lines()
        .map(|line| format!("        {line}\n"))
        .collect();
    let policies = format!("    policies:\n      token_limits:\n{indented}");
    let state = "state: { redis: 'redis://redis', digest_key: '{{ digest_key }}' }\n";
    match kind {
        "agents" => format!(
            "{state}agents:\n  - name: a\n    services: {{ api: 'http://api:5001' }}\n{policies}"
        ),
        "knowledge" => format!(
            "{state}knowledge:\n  - name: k\n    api_keys: ['{{{{ key }}}}']\n    backend: {{ type: ragflow, base_url: 'http://r', api_key: '{{{{ ragflow }}}}', dataset_ids: [a] }}\n{policies}"
        ),
        _ => format!(
            "{state}consumers: [{{ name: dify, credentials: [{{ api_key: '{{{{ key }}}}' }}] }}]\n\
             models:\n  - name: m\n    routes: [{{ name: fast, match: {{ model: [f] }}, targets: [{{ provider: p }}] }}, {{ name: slow, targets: [{{ provider: p }}] }}]\n{policies}      auth: [dify]\n\
             providers: [{{ name: p, base_url: 'http://p/v1' }}]\n"
        ),
    }
}

fn load(limits: &str) -> (Gateway, Vec<String>) {
    let document = document("models", limits);
    let checked = read(&document).unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"));
    let again = parse_normal_form(&normal_form(&checked.gateway)).unwrap();
    assert_eq!(again, checked.gateway);
    let warnings = checked.warnings.into_iter();
    (
        checked.gateway,
        warnings.map(|warning| warning.message).collect(),
    )
}

fn of(limits: &str) -> (Vec<TokenLimit>, Vec<String>) {
    let (gateway, warnings) = load(limits);
    (gateway.models[0].policies.token_limits.clone(), warnings)
}

/// What `check` complains of.
fn mistakes(kind: &str, limits: &str) -> String {
    match read(&document(kind, limits)) {
        Ok(checked) => panic!("{checked:?}"),
        Err(diagnostics) => {
            let messages = diagnostics.iter().map(|one| one.message.clone());
            messages.collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn higress_document_loads_as_it_stands() {
    let (limits, warnings) = of(HIGRESS);
    let [limit] = limits.as_slice() else {
        panic!("{limits:?}")
    };
    assert_eq!(limit.rule_name, "default_rule");
    let windows: Vec<_> = limit.global_threshold.unwrap().windows().collect();
    assert_eq!(windows, [(QuotaWindow::Minute, 500)]);
    assert_eq!(
        (limit.token_kind, limit.reserve),
        (TokenKind::Total, ReserveMode::Expected)
    );
    assert_eq!(limit.rejected_msg.as_deref(), Some("Too many requests"));
    assert_eq!(limit.redis, None);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("`state.redis`"), "{warnings:?}");
}

#[test]
fn of_rules_the_first_that_matches_holds_and_the_rest_for_what_none_matches() {
    let (limits, warnings) = of(RULES);
    assert!(warnings.is_empty(), "{warnings:?}");
    let names: Vec<&str> = limits
        .iter()
        .map(|limit| limit.rule_name.as_str())
        .collect();
    assert_eq!(names, ["fast", "domain", "rest"]);
    let holding = |route: &str, host: &str| {
        let has = |scope: &LimitScope| scope.has(Some(route), Some(host));
        let holds = |limit: &&TokenLimit| {
            limit.applies_to.as_ref().is_none_or(has) && !limit.except.iter().any(has)
        };
        let names: Vec<&str> = limits
            .iter()
            .filter(holds)
            .map(|limit| limit.rule_name.as_str())
            .collect();
        names.join(" ")
    };
    assert_eq!(holding("fast", "example.org"), "fast");
    assert_eq!(holding("slow", "api.example.com:8443"), "domain");
    assert_eq!(holding("fast", "api.example.com"), "fast");
    assert_eq!(holding("slow", "example.org"), "rest");
    // As lists, and all in rules.
    let nested = format!("- {}", RULES.replace('\n', "\n  "));
    assert_eq!(of(&nested).0, limits);
    let alone: String = RULES
        .lines()
        .take(9)
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(of(&alone).0.len(), 1);
}

#[test]
fn what_cannot_be_meant_is_refused_in_words() {
    for (limits, words) in [
        ("{ rule_name: a }", "nothing is limited"),
        (
            "{ rule_name: a, global_threshold: {} }",
            "add `token_per_second`",
        ),
        (
            "{ rule_name: a, global_threshold: { token_per_day: 0 } }",
            "a quota of zero",
        ),
        (
            "{ rule_name: a, global_threshold: { query_per_day: 1 } }",
            "query_per_day",
        ),
        (
            "{ rule_name: a, global_threshold: { token_per_day: 1000000000001 } }",
            "a million times a million",
        ),
        (
            "{ rule_name: a, reserve: some, global_threshold: { token_per_day: 1 } }",
            "some",
        ),
        (
            "{ _match_service_: [a.dns], rule_name: a, global_threshold: { token_per_day: 1 } }",
            "of its own registry",
        ),
        (
            "[{ rule_name: a, global_threshold: { token_per_day: 1 } }, { rule_name: a, global_threshold: { token_per_day: 1 } }]",
            "a",
        ),
    ] {
        let said = mistakes("models", limits);
        assert!(said.contains(words), "{limits}: {said}");
    }
    let said = mistakes("knowledge", HIGRESS);
    assert!(said.contains("retrieval tells of no tokens"), "{said}");
}

#[test]
fn check_says_what_max_means_for_small_limits_and_for_runs() {
    let max = HIGRESS.replace("rejected_code: 429", "reserve: max");
    let (_, warnings) = of(&max);
    let said = warnings.join("\n");
    assert!(said.contains("one passes a window"), "{said}");
    let large = max.replace("500", "50000");
    assert!(!of(&large).1.join("\n").contains("one passes"));
    let checked = read(&document("agents", &max)).unwrap();
    let said: Vec<String> = checked
        .warnings
        .into_iter()
        .map(|one| one.message)
        .collect();
    assert!(said.join("\n").contains("write `expected`"), "{said:?}");
    let two = "rule_name: a\nredis: {}\nrule_items:\n- { limit_by_consumer: '', limit_keys: [{ key: dify, token_per_day: 1 }] }\n- { limit_by_model: '', limit_keys: [{ key: '*', token_per_day: 1 }] }\n";
    let (_, warnings) = of(two);
    assert!(warnings.join("\n").contains("before 2.2.4"), "{warnings:?}");
    let unknown =
        "{ _match_route_: [other], rule_name: a, global_threshold: { token_per_day: 1 } }";
    let (_, warnings) = of(unknown);
    assert!(
        warnings.join("\n").contains("no route `other`"),
        "{warnings:?}"
    );
}

#[test]
fn rules_of_one_name_count_together_only_where_one_of_them_holds() {
    let rule = |route: &str| {
        format!(
            "- {{ _match_route_: [{route}], rule_name: a, global_threshold: {{ token_per_day: 1 }} }}\n"
        )
    };
    let together = format!("_rules_:\n{}{}", rule("fast"), rule("slow"));
    assert_eq!(of(&together).0.len(), 2);
    let apart = format!(
        "- {{ rule_name: a, global_threshold: {{ token_per_day: 1 }} }}\n- _rules_:\n  {}",
        rule("fast")
    );
    assert!(mistakes("models", &apart).contains("`a`"));
    let unnamed = "_rules_:\n- { rule_name: a, global_threshold: { token_per_day: 1 } }\n";
    assert!(mistakes("models", unnamed).contains("names no route and no domain"));
}

//! What the counts mean for a request, and what its client is told.
#![expect(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use spillway_config::{OnError, RateLimit, StateConfig, parse_normal_form};
use spillway_limit::{Applicable, DigestKey, Due, RequestFacts, RuleOutcome, Rules, Verdict};
use spillway_platform::{Admission, Charge, Headers, LeaseName};
use spillway_state::MemoryStore;

fn limits(json: &str) -> Vec<RateLimit> {
    let gateway = format!(
        r#"{{ "models": [{{ "name": "m", "routes": [], "policies": {{ "rate_limits": {json} }} }}] }}"#
    );
    let mut gateway = parse_normal_form(&gateway).unwrap();
    gateway.models.remove(0).policies.rate_limits
}

fn rules(json: &str, on_error: OnError) -> Rules {
    let state = StateConfig {
        on_error,
        ..StateConfig::default()
    };
    Rules::new(&limits(json), &[], "model/m", &state, &DigestKey::new(b"")).unwrap()
}

fn app(name: &str) -> Headers {
    Headers::from_list(vec![("x-app-id".to_owned(), name.as_bytes().to_vec())])
}

fn facts(headers: &Headers) -> RequestFacts<'_> {
    RequestFacts::of(headers)
}

fn asked<'a>(applicable: &'a Applicable<'_>, lease: &'a LeaseName) -> Admission<'a> {
    Admission {
        charges: applicable.charges(),
        lease,
        new_values: None,
    }
}

fn ask<'r>(store: &mut MemoryStore, rules: &'r Rules, now_ms: u64, name: &str) -> Verdict<'r> {
    let headers = app(name);
    let applicable = rules.applicable(&facts(&headers), Due::All);
    let taken = store.charge(now_ms, applicable.charges());
    applicable.verdict(&taken)
}

fn header<'a>(headers: &'a [(&'static str, String)], name: &str) -> &'a str {
    headers
        .iter()
        .find(|(key, _)| *key == name)
        .map_or("", |(_, value)| value)
}

const GUIDE: &str = r#"[{ "rule_name": "dify_higress_demo_rule", "show_limit_quota_header": true, "rule_items": [
    { "limit_by_header": "x-app-id", "limit_keys": [{ "key": "9a34", "query_per_minute": 1 }] }] }]"#;

#[test]
fn the_guides_second_call_within_a_minute_is_refused_and_others_are_free() {
    let (rules, mut store) = (rules(GUIDE, OnError::Allow), MemoryStore::default());
    let start = 1_700_000_000_000;
    let first = ask(&mut store, &rules, start, "9a34");
    assert!(first.passes);
    let headers = first.headers(0);
    assert_eq!(
        headers,
        [
            ("x-ratelimit-limit", "1".to_owned()),
            ("x-ratelimit-remaining", "0".to_owned()),
            ("x-ratelimit-reset", "70".to_owned()),
            (
                "ratelimit-policy",
                "\"dify_higress_demo_rule\";q=1;w=60".to_owned()
            ),
            (
                "ratelimit",
                "\"dify_higress_demo_rule\";r=0;t=70".to_owned()
            ),
        ]
    );
    let second = ask(&mut store, &rules, start + 59_999, "9a34");
    assert!(!second.passes);
    let standing = second.standing.unwrap();
    assert_eq!((standing.rule.rejected_code, standing.reset_s), (429, 11));
    assert_eq!(
        standing.message(),
        "Too many requests: at most 1 in any 60 s. Try again in 11 s."
    );
    let headers = second.headers(0);
    assert_eq!(header(&headers, "retry-after"), "11");
    assert_eq!(header(&headers, "x-ratelimit-remaining"), "0");
    let other = ask(&mut store, &rules, start, "other");
    assert!(other.passes && other.headers(0).is_empty() && other.outcomes.is_empty());
    // Exactly when the refused client was told to come again.
    assert!(ask(&mut store, &rules, start + 59_999 + 11_000, "9a34").passes);
}

#[test]
fn the_tightest_rule_is_told() {
    let rules = rules(
        r#"[
            { "rule_name": "wide", "show_limit_quota_header": true, "global_threshold": { "query_per_minute": 3, "query_per_hour": 3 } },
            { "rule_name": "silent", "global_threshold": { "query_per_minute": 2 } },
            { "rule_name": "dry", "dry_run": true, "show_limit_quota_header": true, "global_threshold": { "query_per_minute": 1 } }
        ]"#,
        OnError::Allow,
    );
    let mut store = MemoryStore::default();
    let first = ask(&mut store, &rules, 0, "a");
    let standing = first.standing.unwrap();
    // The hour: as many left as the minute has, and longer to wait.
    assert_eq!(
        (
            standing.rule.name.as_str(),
            standing.window_s,
            standing.remaining,
            standing.reset_s
        ),
        ("wide", Some(3600), 2, 4200)
    );
    assert_eq!(
        first.outcomes,
        [
            ("wide", RuleOutcome::Passed),
            ("silent", RuleOutcome::Passed),
            ("dry", RuleOutcome::Passed)
        ]
    );
    let second = ask(&mut store, &rules, 0, "a");
    assert!(second.passes);
    assert_eq!(second.outcomes[2], ("dry", RuleOutcome::WouldRefuse));
    let third = ask(&mut store, &rules, 0, "a");
    assert!(!third.passes);
    assert_eq!(third.standing.unwrap().rule.name, "silent");
    // `wide` had room and did not count it.
    assert_eq!(
        third.outcomes,
        [
            ("silent", RuleOutcome::Refused),
            ("dry", RuleOutcome::WouldRefuse)
        ]
    );
    assert_eq!(
        header(&third.headers(0), "ratelimit-policy"),
        "\"silent\";q=2;w=60"
    );
}

#[test]
fn of_several_that_refuse_the_longest_wait_is_told() {
    let rules = rules(
        r#"[{ "rule_name": "a", "global_threshold": { "query_per_second": 1, "query_per_hour": 1, "query_per_minute": 1 }, "rejected_code": 503, "rejected_msg": "slow down" }]"#,
        OnError::Allow,
    );
    let mut store = MemoryStore::default();
    assert!(ask(&mut store, &rules, 0, "a").headers(0).is_empty());
    let refused = ask(&mut store, &rules, 0, "a");
    let standing = refused.standing.unwrap();
    assert_eq!(
        (standing.window_s, standing.rule.rejected_code),
        (Some(3600), 503)
    );
    assert_eq!(standing.rule.rejected_msg.as_deref(), Some("slow down"));
    assert_eq!(refused.outcomes, [("a", RuleOutcome::Refused)]);
}

#[test]
fn without_the_store_a_request_is_refused_if_one_of_its_rules_says_so() {
    let json = |app: &str, more: &str| {
        format!(
            r#"{{ "rule_name": "{app}", "rule_items": [{{ "limit_by_header": "x-app-id", "limit_keys": [{{ "key": "{app}", "query_per_second": 1 }}] }}]{more} }}"#
        )
    };
    let document = format!(
        "[{}, {}, {}]",
        json("strict", r#", "on_error": "deny""#),
        json("dry", r#", "on_error": "deny", "dry_run": true"#),
        json("default", ""),
    );
    let judge = |rules: &Rules, name: &str| {
        let headers = app(name);
        rules
            .applicable(&facts(&headers), Due::All)
            .when_state_fails()
    };
    let lenient = rules(&document, OnError::Allow);
    assert_eq!(judge(&lenient, "strict"), OnError::Deny);
    assert_eq!(judge(&lenient, "dry"), OnError::Allow);
    assert_eq!(judge(&lenient, "default"), OnError::Allow);
    assert_eq!(judge(&lenient, "none"), OnError::Allow);
    assert!(lenient.deny_on_error());
    let strict = rules(&document, OnError::Deny);
    assert_eq!(judge(&strict, "default"), OnError::Deny);
    assert!(!rules(&format!("[{}]", json("default", "")), OnError::Allow).deny_on_error());
    assert!(rules("[]", OnError::Deny).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Three apps, each with a quota of its own, and one for all together.
    #[test]
    fn no_app_and_not_all_together_get_more_than_their_limit(
        steps in prop::collection::vec((0..15_000_u64, 0..3_u8), 1..120),
        (each, all) in (1..5_u32, 1..10_u32),
    ) {
        let rules = rules(
            &format!(
                r#"[{{ "rule_name": "each", "rule_items": [{{ "limit_by_per_header": "x-app-id", "limit_keys": [{{ "key": "*", "query_per_minute": {each} }}] }}] }},
                    {{ "rule_name": "all", "global_threshold": {{ "query_per_minute": {all} }} }}]"#
            ),
            OnError::Allow,
        );
        let mut store = MemoryStore::default();
        let (mut now, mut passed) = (1_700_000_000_000_u64, Vec::new());
        for (step, app) in steps {
            now = now.saturating_add(step);
            let verdict = ask(&mut store, &rules, now, &app.to_string());
            prop_assert_eq!(verdict.passes, !verdict.headers(0).iter().any(|(name, _)| *name == "retry-after"));
            if verdict.passes {
                passed.push((now, app));
            }
            let in_window = |of: Option<u8>| {
                passed.iter().filter(|(at, app)| now.saturating_sub(*at) < 60_000 && of.is_none_or(|of| of == *app)).count()
            };
            prop_assert!(in_window(None) <= all as usize);
            for app in 0..3 {
                prop_assert!(in_window(Some(app)) <= each as usize);
            }
        }
    }
}

#[test]
fn what_is_in_flight_is_limited_until_it_ends() {
    let rules = rules(
        r#"[{ "rule_name": "at_once", "rule_items": [
            { "limit_by_per_header": "x-app-id", "limit_keys": [{ "key": "*", "concurrency": 1, "query_per_minute": 9 }] }] }]"#,
        OnError::Allow,
    );
    let mut store = MemoryStore::default();
    let mut ask = |name: &str, lease: &str| {
        let headers = app(name);
        let applicable = rules.applicable(&facts(&headers), Due::All);
        let lease = LeaseName(lease.to_owned());
        applicable.verdict(&store.admit(0, asked(&applicable, &lease)))
    };
    assert!(ask("a", "1").passes);
    let refused = ask("a", "2");
    assert!(!refused.passes);
    let standing = refused.standing.unwrap();
    assert_eq!(
        standing.message(),
        "Too many requests at once: 1 may be in flight. Try again when one has ended."
    );
    let headers = refused.headers(0);
    assert_eq!(header(&headers, "retry-after"), "1");
    assert_eq!(
        header(&headers, "ratelimit-policy"),
        "\"at_once\";q=1;qu=\"concurrent-requests\""
    );
    assert!(ask("b", "3").passes, "another app is free");
    let headers = app("a");
    let applicable = rules.applicable(&facts(&headers), Due::All);
    let in_flight: Vec<Charge> = applicable.in_flight().cloned().collect();
    store.release(&in_flight, &LeaseName("1".to_owned()));
    let taken = store.admit(0, asked(&applicable, &LeaseName("4".to_owned())));
    assert!(taken.passes);
    assert_eq!(
        taken.charges.first().map(|count| count.used),
        Some(2),
        "the refused one took nothing"
    );
}

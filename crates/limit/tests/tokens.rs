//! Limits of tokens: what is charged, what a client is told, and the guide's example.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test"
)]

use spillway_config::{StateConfig, parse_normal_form};
use spillway_limit::{DigestKey, Due, InBody, RequestFacts, Rules, TokenDemand, TokenUse, Verdict};
use spillway_platform::{Admission, Headers, LeaseName, Settled, UsageProfile};
use spillway_state::MemoryStore;

/// 2023-11-14, at the beginning of a minute.
const NOW: u64 = 1_700_000_040_000;

fn rules(tokens: &str) -> Rules {
    let gateway = format!(
        r#"{{ "models": [{{ "name": "m", "routes": [], "policies": {{ "token_limits": {tokens} }} }}] }}"#
    );
    let mut gateway = parse_normal_form(&gateway).unwrap();
    let limits = gateway.models.remove(0).policies.token_limits;
    let (state, key) = (StateConfig::default(), DigestKey::new(b""));
    Rules::new(&[], &limits, "model/m", &state, &key).unwrap()
}

fn demand(input: u64, cap: Option<u64>) -> TokenDemand {
    TokenDemand {
        input: Some(input),
        output_cap: cap,
        profile: None,
    }
}

/// Calls, each of which may be settled.
struct Calls {
    store: MemoryStore,
    rules: Rules,
    number: u32,
}

impl Calls {
    fn new(tokens: &str) -> Self {
        Self {
            store: MemoryStore::default(),
            rules: rules(tokens),
            number: 0,
        }
    }

    /// Whether a call passes; and what settles it.
    fn ask(&mut self, now: u64, demand: TokenDemand) -> (bool, impl Fn(&mut Self, u64) + 'static) {
        self.number += 1;
        let lease = LeaseName(self.number.to_string());
        let headers = Headers::default();
        let facts = RequestFacts {
            demand: Some(&demand),
            ..RequestFacts::of(&headers)
        };
        let applicable = self.rules.applicable(&facts, Due::All);
        let asked = Admission {
            charges: applicable.charges(),
            lease: &lease,
            new_values: None,
        };
        let admitted = self.store.admit(now, asked);
        let reserved = applicable.reserved(Some(&admitted));
        let settle = move |calls: &mut Self, output: u64| {
            let usage = TokenUse::Split { input: 20, output };
            let settled: Vec<Settled> = reserved
                .iter()
                .map(|reserved| Settled {
                    charge: reserved.charge.clone(),
                    sub_window: reserved.sub_window,
                    actual: reserved.counting.actual(usage),
                })
                .collect();
            calls.store.settle(now, &settled, &lease);
        };
        (admitted.passes, settle)
    }

    fn verdict(
        &mut self,
        now: u64,
        demand: TokenDemand,
    ) -> (bool, String, Vec<(&'static str, String)>) {
        let headers = Headers::default();
        let facts = RequestFacts {
            demand: Some(&demand),
            ..RequestFacts::of(&headers)
        };
        let applicable = self.rules.applicable(&facts, Due::All);
        let admitted = self.store.charge(now, applicable.charges());
        let verdict: Verdict<'_> = applicable.verdict(&admitted);
        let message = verdict.standing.map(|it| it.message()).unwrap_or_default();
        let mut headers = verdict.headers(0);
        headers.extend(verdict.openai_headers());
        (verdict.passes, message, headers)
    }

    /// How many of ten calls of a hundred tokens, one after the other within a minute, pass.
    fn passing(&mut self, cap: Option<u64>) -> usize {
        let mut passed = 0;
        for number in 0..10 {
            let (passes, settle) = self.ask(NOW + number * 1_000, demand(20, cap));
            if passes {
                passed += 1;
                settle(self, 80);
            }
        }
        passed
    }
}

fn guide(reserve: &str) -> Calls {
    Calls::new(&format!(
        r#"[{{ "rule_name": "guide", "reserve": "{reserve}", "global_threshold": {{ "token_per_minute": 500 }} }}]"#
    ))
}

#[test]
fn of_the_guides_500_tokens_a_minute_several_calls_of_100_pass() {
    for (reserve, cap, passed) in [
        ("none", Some(512), 5),
        ("expected", Some(512), 4),
        ("max", Some(512), 1),
        ("none", Some(100), 5),
        ("expected", Some(100), 4),
        ("max", Some(100), 4),
        ("max", None, 1),
    ] {
        assert_eq!(guide(reserve).passing(cap), passed, "{reserve} {cap:?}");
    }
}

#[test]
fn what_is_not_known_to_be_needed_is_free_again_and_what_was_needed_beyond_is_debt() {
    let mut calls = guide("max");
    let (passes, settle) = calls.ask(NOW, demand(20, Some(480)));
    assert!(passes);
    assert!(!calls.ask(NOW, demand(20, Some(10))).0);
    settle(&mut calls, 30);
    // Settled twice it counts once.
    settle(&mut calls, 400);
    let (passes, settle) = calls.ask(NOW, demand(20, Some(430)));
    assert!(passes);
    settle(&mut calls, 2_000);
    let (passes, message, headers) = calls.verdict(NOW, demand(20, Some(10)));
    assert!(!passes);
    assert_eq!(
        message,
        "Too many tokens: the limit `guide` allows 500 in any 60 s, counted in steps of 10 s, 0 are left, and this call may use 30. Try again in 70 s."
    );
    for (name, value) in [
        ("x-ratelimit-limit", "500"),
        ("x-ratelimit-remaining", "0"),
        ("ratelimit-policy", "\"guide\";q=500;qu=\"tokens\";w=60"),
        ("retry-after", "70"),
        ("x-ratelimit-limit-tokens", "500"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "1m10s"),
    ] {
        assert!(
            headers.contains(&(name, value.to_owned())),
            "{name}: {headers:?}"
        );
    }
    assert!(headers.iter().all(|(name, _)| !name.ends_with("-requests")));
}

#[test]
fn thirty_tokens_an_hour_stop() {
    let mut calls =
        Calls::new(r#"[{ "rule_name": "r", "global_threshold": { "token_per_hour": 30 } }]"#);
    let (passes, settle) = calls.ask(NOW, demand(20, Some(10_000)));
    assert!(passes);
    settle(&mut calls, 40);
    for minute in 0..59 {
        assert!(!calls.ask(NOW + minute * 60_000, demand(1, Some(1))).0);
    }
}

#[test]
fn while_others_have_reserved_the_rest_a_client_is_told_so() {
    let mut calls = guide("max");
    assert!(calls.ask(NOW, demand(20, Some(400))).0);
    let (_, message, headers) = calls.verdict(NOW, demand(20, Some(400)));
    assert!(message.ends_with("80 are left, and this call may use 420. The rest is reserved for calls that are running: try again when one has ended."), "{message}");
    assert!(headers.contains(&("retry-after", "1".to_owned())));
}

#[test]
fn tokens_are_asked_when_the_call_is_known_and_of_calls_that_use_some() {
    let rules = rules(
        r#"[{ "rule_name": "r", "rule_items": [{ "limit_by_per_header": "x-team", "limit_keys": [{ "key": "*", "token_per_day": 10 }] }] },
            { "rule_name": "of_a_route", "applies_to": { "routes": ["fast"] }, "token_kind": "output", "global_threshold": { "token_per_day": 1000 } }]"#,
    );
    let body = InBody::ModelAndRoute;
    assert!(!rules.has_due(Due::Head(body)) && rules.has_due(Due::Body(body)));
    assert!(
        rules.has_due(Due::Head(InBody::EndUser)) && !rules.has_due(Due::Body(InBody::EndUser))
    );
    let headers = Headers::from_list(vec![("x-team".to_owned(), b"a".to_vec())]);
    let known = TokenDemand {
        profile: Some(UsageProfile { calls: 30, p95: 70 }),
        ..demand(100, Some(300))
    };
    let of = |demand, route| {
        let facts = RequestFacts {
            demand,
            route,
            ..RequestFacts::of(&headers)
        };
        let applicable = rules.applicable(&facts, Due::All);
        let charges = applicable.charges().iter();
        charges.map(|charge| charge.cost).collect::<Vec<_>>()
    };
    assert_eq!(of(None, Some("fast")), Vec::<u64>::new());
    // Never more than the limit.
    assert_eq!(of(Some(&known), Some("slow")), [10]);
    assert_eq!(of(Some(&known), Some("fast")), [10, 70]);
}

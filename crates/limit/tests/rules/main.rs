//! Which rules hold for a request, and what is counted together.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

mod addresses;
mod counts;
mod due;
mod invented_values;

use std::net::IpAddr;

use spillway_config::{RateLimit, StateConfig, parse_normal_form};
use spillway_limit::{DifyApp, DigestKey, Due, RequestFacts, Rules};
use spillway_platform::Headers;
use spillway_platform::{Charge, LIMIT_KEY_PREFIX};
use spillway_state::MemoryStore;

/// Rate limits of an API, in JSON.
fn limits(json: &str) -> Vec<RateLimit> {
    let gateway = format!(
        r#"{{ "agents": [{{ "name": "a", "services": {{}}, "policies": {{ "rate_limits": {json} }} }}] }}"#
    );
    let mut gateway = parse_normal_form(&gateway).unwrap();
    gateway.agents.remove(0).policies.rate_limits
}

fn rules(json: &str) -> Rules {
    let key = DigestKey::new(b"secret");
    Rules::new(&limits(json), &[], "agent/a", &StateConfig::default(), &key).unwrap()
}

/// One rule with one item.
fn item(json: &str) -> Rules {
    rules(&format!(
        r#"[{{ "rule_name": "r", "rule_items": [{json}] }}]"#
    ))
}

#[derive(Default)]
struct Request {
    headers: Headers,
    query: String,
    client: Option<IpAddr>,
    consumer: Option<&'static str>,
    model: Option<&'static str>,
    dify_app: Option<DifyApp>,
}

impl Request {
    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(name, value);
        self
    }

    fn query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    fn from(mut self, address: &str) -> Self {
        self.client = Some(address.parse().unwrap());
        self
    }

    fn takes(&self, rules: &Rules) -> Vec<Charge> {
        self.takes_due(rules, Due::All)
    }

    fn takes_due(&self, rules: &Rules, due: Due) -> Vec<Charge> {
        let facts = RequestFacts {
            query: Some(&self.query)
                .filter(|query| !query.is_empty())
                .map(String::as_str),
            client: self.client,
            consumer: self.consumer,
            model: self.model,
            dify_app: self.dify_app.as_ref(),
            ..RequestFacts::of(&self.headers)
        };
        rules.applicable(&facts, due).charges().to_vec()
    }

    /// The limits that hold.
    fn limits(&self, rules: &Rules) -> Vec<u64> {
        self.takes(rules).iter().map(|take| take.limit).collect()
    }

    /// What it is counted under; it has to be one thing.
    fn counted_under(&self, rules: &Rules) -> String {
        let takes = self.takes(rules);
        assert_eq!(takes.len(), 1, "{takes:?}");
        takes[0].key.clone()
    }
}

fn request() -> Request {
    Request::default()
}

#[test]
fn the_guides_rule_holds_for_its_application_alone() {
    let rules = item(
        r#"{ "limit_by_header": "x-app-id", "limit_keys": [{ "key": "9a342***3e1250b5", "query_per_minute": 1 }] }"#,
    );
    let takes = request()
        .header("x-app-id", "9a342***3e1250b5")
        .takes(&rules);
    assert_eq!(takes.len(), 1);
    assert_eq!(
        (
            takes[0].limit,
            takes[0].window_ms().unwrap(),
            takes[0].dry_run
        ),
        (1, 60_000, false)
    );
    assert!(
        request()
            .header("x-app-id", "other")
            .takes(&rules)
            .is_empty()
    );
    assert!(request().takes(&rules).is_empty());
}

#[test]
fn the_key_that_says_a_value_most_exactly_is_used() {
    let rules = item(
        r#"{ "limit_by_header": "x", "limit_keys": [
            { "key": "*", "query_per_second": 1 },
            { "key": "regexp:^a.*z$", "query_per_second": 2 },
            { "key": "regexp:b", "query_per_second": 3 },
            { "key": "prefix:ab", "query_per_second": 4 },
            { "key": "prefix:abc", "query_per_second": 5 },
            { "key": "abc", "query_per_second": 6 } ] }"#,
    );
    for (value, limit) in [
        ("abc", 6),
        ("abcd", 4),
        ("ab", 4),
        ("az", 2),
        ("abz", 4),
        ("cbc", 3),
        ("c", 1),
        ("", 1),
        ("ABC", 1),
    ] {
        assert_eq!(
            request().header("x", value).limits(&rules),
            [limit],
            "{value}"
        );
    }
}

#[test]
fn expressions_know_scripts_and_categories() {
    let rules = item(
        r#"{ "limit_by_header": "x", "limit_keys": [
            { "key": "regexp:^\\p{Han}+$", "query_per_second": 2 },
            { "key": "regexp:^\\p{Lu}\\d", "query_per_second": 3 },
            { "key": "*", "query_per_second": 1 } ] }"#,
    );
    for (value, limit) in [
        ("知识库", 2),
        ("知识 库", 1),
        ("Ä7", 3),
        ("ä7", 1),
        ("A٣", 1),
    ] {
        assert_eq!(
            request().header("x", value).limits(&rules),
            [limit],
            "{value}"
        );
    }
}

#[test]
fn every_item_and_every_window_holds() {
    let rules = rules(
        r#"[
            { "rule_name": "all", "global_threshold": { "query_per_second": 100, "query_per_day": 1000 } },
            { "rule_name": "some", "rule_items": [
                { "limit_by_header": "x", "limit_keys": [{ "key": "*", "query_per_minute": 10 }] },
                { "limit_by_param": "y", "limit_keys": [{ "key": "b", "query_per_hour": 20 }] } ] },
            { "rule_name": "none", "rule_items": [{ "limit_by_cookie": "z", "limit_keys": [{ "key": "*", "query_per_hour": 20 }] }] }
        ]"#,
    );
    let takes = request().header("x", "a").query("y=a&y=b").takes(&rules);
    let quotas: Vec<_> = takes
        .iter()
        .map(|take| (take.limit, take.window_ms().unwrap()))
        .collect();
    assert_eq!(
        quotas,
        [
            (100, 1_000),
            (1000, 86_400_000),
            (10, 60_000),
            (20, 3_600_000)
        ]
    );
    let mut keys: Vec<_> = takes.iter().map(|take| &take.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4);
    assert_eq!(request().limits(&rules), [100, 1000]);
}

#[test]
fn values_share_a_quota_or_have_one_each() {
    let shared = item(
        r#"{ "limit_by_header": "x", "limit_keys": [{ "key": "prefix:a", "query_per_second": 1 }, { "key": "*", "query_per_second": 1 }] }"#,
    );
    let each = item(
        r#"{ "limit_by_per_header": "x", "limit_keys": [{ "key": "prefix:a", "query_per_second": 1 }, { "key": "*", "query_per_second": 1 }] }"#,
    );
    let under = |value, rules| request().header("x", value).counted_under(rules);
    assert_eq!(under("a1", &shared), under("a2", &shared));
    assert_ne!(under("a1", &shared), under("b", &shared));
    assert_ne!(under("a1", &each), under("a2", &each));
    assert_eq!(under("a1", &each), under("a1", &each));
    assert_ne!(under("a1", &each), under("a1", &shared));
}

#[test]
fn sending_a_value_twice_gets_around_nothing() {
    let shared = item(
        r#"{ "limit_by_header": "x", "limit_keys": [{ "key": "a", "query_per_second": 1 }, { "key": "b", "query_per_second": 2 }] }"#,
    );
    let twice = request()
        .header("x", "other")
        .header("x", "b")
        .header("x", "a")
        .header("x", "b");
    assert_eq!(twice.limits(&shared), [2, 1]);
    let each = item(
        r#"{ "limit_by_per_header": "x", "limit_keys": [{ "key": "regexp:^.$", "query_per_second": 1 }] }"#,
    );
    assert_eq!(twice.limits(&each), [1]);
    assert_eq!(
        twice.counted_under(&each),
        request().header("x", "b").counted_under(&each)
    );
    let many = (0..20_000).fold(String::new(), |query, _| query + "a=&");
    let parameters = item(
        r#"{ "limit_by_per_param": "a", "limit_keys": [{ "key": "*", "query_per_second": 1 }] }"#,
    );
    assert_eq!(request().query(&many).limits(&parameters), [1]);
}

#[test]
fn parameters_and_cookies_are_read_as_they_are_sent() {
    let parameter = item(
        r#"{ "limit_by_param": "app id", "limit_keys": [{ "key": "ä b", "query_per_second": 1 }] }"#,
    );
    assert_eq!(
        request().query("x=1&app+id=%C3%A4%20b").limits(&parameter),
        [1]
    );
    assert!(
        request()
            .query("app=%C3%A4%20b")
            .limits(&parameter)
            .is_empty()
    );
    let cookie = item(
        r#"{ "limit_by_cookie": "session", "limit_keys": [{ "key": "a=b", "query_per_second": 1 }] }"#,
    );
    for header in [
        "session=a=b",
        "x=y; session=a=b ;z",
        " session = a=b",
        "x;;=;session=a=b",
    ] {
        assert_eq!(
            request().header("cookie", header).limits(&cookie),
            [1],
            "{header}"
        );
    }
    for header in [
        "",
        "session",
        "session=",
        "Session=a=b",
        "a=b",
        "xsession=a=b",
    ] {
        assert!(
            request()
                .header("cookie", header)
                .limits(&cookie)
                .is_empty(),
            "{header}"
        );
    }
    let two = request()
        .header("cookie", "x=y")
        .header("cookie", "session=a=b");
    assert_eq!(two.limits(&cookie), [1]);
}

#[test]
fn consumers_models_and_applications_are_told_apart() {
    let consumers = item(
        r#"{ "limit_by_per_consumer": "", "limit_keys": [{ "key": "dify", "query_per_second": 9 }, { "key": "*", "query_per_second": 1 }] }"#,
    );
    let consumer = |name| Request {
        consumer: Some(name),
        ..request()
    };
    assert_eq!(consumer("dify").limits(&consumers), [9]);
    assert_eq!(consumer("other").limits(&consumers), [1]);
    assert!(request().limits(&consumers).is_empty());

    let models = item(
        r#"{ "limit_by_model": "", "limit_keys": [{ "key": "prefix:gpt-", "query_per_second": 9 }] }"#,
    );
    let model = |name| Request {
        model: Some(name),
        ..request()
    };
    assert_eq!(
        model("gpt-4o").counted_under(&models),
        model("gpt-5").counted_under(&models)
    );
    assert!(model("qwen").limits(&models).is_empty());

    let key = DigestKey::new(b"secret");
    let app = |authorization: &str| {
        let headers = request().header("authorization", authorization).headers;
        Request {
            dify_app: key.dify_app(&headers),
            ..request()
        }
    };
    let apps = item(
        r#"{ "limit_by_dify_app": "", "limit_keys": [{ "key": "app-one", "query_per_second": 9 }, { "key": "", "query_per_second": 5 }, { "key": "*", "query_per_second": 1 }] }"#,
    );
    assert_eq!(app("Bearer app-one").limits(&apps), [9]);
    assert_eq!(app("bearer  app-one ").limits(&apps), [9]);
    assert_eq!(app("Bearer app-two").limits(&apps), [1]);
    for other in [
        "Bearer dataset-x",
        "Bearer ",
        "app-one",
        "Basic app-one",
        "",
    ] {
        assert!(app(other).limits(&apps).is_empty(), "{other}");
    }
    let each = item(
        r#"{ "limit_by_per_dify_app": "", "limit_keys": [{ "key": "*", "query_per_second": 1 }] }"#,
    );
    assert_ne!(
        app("Bearer app-one").counted_under(&each),
        app("Bearer app-two").counted_under(&each)
    );
}

//! Values that clients invent: what a new one costs, and what is forgotten of one that nobody knows.

use crate::*;

/// What it costs to bring a new value: of each window.
fn costs(request: &Request, by: &str, key: &str) -> Vec<u32> {
    let rules = item(&format!(
        r#"{{ "limit_by_per_{by}, "limit_keys": [{{ "key": "{key}", "query_per_second": 1, "query_per_minute": 1, "query_per_day": 1 }}] }}"#
    ));
    let takes = request.takes(&rules);
    takes.iter().map(|take| take.cost_when_new()).collect()
}

#[test]
fn what_a_client_can_invent_costs_it_something_by_how_long_it_stays() {
    let app = DigestKey::new(b"secret").dify_app(&Headers::from_list(vec![(
        "authorization".to_owned(),
        b"Bearer app-1".to_vec(),
    )]));
    let request = Request {
        consumer: Some("dify"),
        model: Some("m"),
        dify_app: app,
        ..request()
            .header("x", "a")
            .header("cookie", "c=a")
            .query("p=a")
            .from("2001:db8::1")
    };
    for (by, key) in [
        ("header\": \"x\"", "*"),
        ("header\": \"x\"", "prefix:a"),
        ("param\": \"p\"", "regexp:a"),
        ("cookie\": \"c\"", "*"),
        ("dify_app\": \"\"", "*"),
        ("model\": \"\"", "*"),
        ("ip\": \"from-remote-addr\"", "::/0"),
    ] {
        assert_eq!(costs(&request, by, key), [0, 1, 10], "{by} {key}");
    }
    for (by, key) in [
        // As it stands in the configuration.
        ("header\": \"x\"", "a"),
        ("dify_app\": \"\"", "app-1"),
        ("consumer\": \"\"", "*"),
    ] {
        assert_eq!(costs(&request, by, key), [0, 0, 0], "{by} {key}");
    }
    let near = request.from("10.0.0.1");
    assert_eq!(costs(&near, "ip\": \"from-remote-addr\"", "*"), [0, 0, 0]);
    assert_eq!(
        costs(
            &near.header("x-own", "10.0.0.2"),
            "ip\": \"from-header-x-own\"",
            "*"
        ),
        [0, 1, 10],
        "anybody can write that"
    );
}

#[test]
fn new_values_are_a_clients_of_all_apis_together() {
    let json = r#"[{ "rule_name": "r", "rule_items": [
        { "limit_by_per_header": "x", "limit_keys": [{ "key": "*", "query_per_day": 1 }] },
        { "limit_by_header": "y", "limit_keys": [{ "key": "*", "query_per_day": 1 }] }] }]"#;
    let key = DigestKey::new(b"secret");
    let bound = |api: &str, header: &str, client: Option<&str>| {
        let state = StateConfig {
            new_values_per_second: 7,
            ..StateConfig::default()
        };
        let rules = Rules::new(&limits(json), &[], api, &state, &key).unwrap();
        let headers = Headers::from_list(vec![(header.to_owned(), b"a".to_vec())]);
        let facts = RequestFacts {
            client: client.map(|client| client.parse().unwrap()),
            ..RequestFacts::of(&headers)
        };
        rules.applicable(&facts, Due::All).new_values().cloned()
    };
    let one = bound("agent/a", "x", Some("10.0.0.1")).unwrap();
    assert_eq!(one.allowance, 70);
    assert!(one.key.starts_with(LIMIT_KEY_PREFIX) && !one.key.contains("10.0.0.1"));
    assert_eq!(bound("agent/b", "x", Some("10.0.0.1")).unwrap(), one);
    assert_ne!(bound("agent/a", "x", Some("10.0.0.2")).unwrap(), one);
    assert_eq!(
        bound("agent/a", "y", Some("10.0.0.1")),
        None,
        "all share one count"
    );
    assert_eq!(bound("agent/a", "x", None), None);
}

#[test]
fn what_came_with_a_key_can_be_forgotten_and_nothing_else() {
    let rules = rules(
        r#"[{ "rule_name": "r", "global_threshold": { "query_per_day": 9 } },
            { "rule_name": "s", "rule_items": [
                { "limit_by_per_dify_app": "", "limit_keys": [{ "key": "*", "query_per_day": 9, "query_per_minute": 1 }] },
                { "limit_by_per_header": "x", "limit_keys": [{ "key": "known", "query_per_day": 9 }, { "key": "*", "query_per_day": 9 }] },
                { "limit_by_per_ip": "from-remote-addr", "limit_keys": [{ "key": "*", "query_per_day": 9 }] }] }]"#,
    );
    let forgettable = |x: &str, store: &mut MemoryStore| {
        let headers = Headers::from_list(vec![
            ("authorization".to_owned(), b"Bearer app-1".to_vec()),
            ("x".to_owned(), x.as_bytes().to_vec()),
        ]);
        let app = DigestKey::new(b"secret").dify_app(&headers);
        let facts = RequestFacts {
            client: Some("2001:db8::1".parse().unwrap()),
            dify_app: app.as_ref(),
            ..RequestFacts::of(&headers)
        };
        let applicable = rules.applicable(&facts, Due::All);
        let taken = store.charge(1_700_000_000_000, applicable.charges());
        let counted = applicable.forgettable(&taken);
        let windows: Vec<u64> = counted
            .iter()
            .map(|it| it.charge.window_ms().unwrap())
            .collect();
        (taken.passes, windows)
    };
    let (minute, day) = (60_000, 86_400_000);
    let mut store = MemoryStore::default();
    assert_eq!(
        forgettable("new", &mut store.clone()),
        (true, vec![minute, day, day])
    );
    assert_eq!(forgettable("known", &mut store), (true, vec![minute, day]));
    assert_eq!(
        forgettable("new", &mut store),
        (false, vec![]),
        "it was not counted"
    );
}

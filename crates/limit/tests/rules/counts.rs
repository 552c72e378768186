//! What counts are called in the store, and what stands in it of a client.

use proptest::prelude::*;

use crate::*;

#[test]
fn neither_secrets_nor_what_clients_send_stands_in_the_store() {
    let rules = rules(
        r#"[{ "rule_name": "r", "rule_items": [
            { "limit_by_header": "authorization", "limit_keys": [{ "key": "Bearer hidden", "query_per_second": 1 }] },
            { "limit_by_per_header": "authorization", "limit_keys": [{ "key": "*", "query_per_second": 1 }] },
            { "limit_by_per_ip": "from-remote-addr", "limit_keys": [{ "key": "*", "query_per_second": 1 }] } ] }]"#,
    );
    let takes = request()
        .from("192.0.2.1")
        .header("authorization", "Bearer hidden")
        .takes(&rules);
    assert_eq!(takes.len(), 3);
    for take in &takes {
        let rest = take.key.strip_prefix(LIMIT_KEY_PREFIX).unwrap();
        let (digest, window) = rest.split_once(':').unwrap();
        assert!(
            digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{rest}"
        );
        assert_eq!(window, "1");
    }
}

#[test]
fn counts_belong_to_an_api_a_rule_and_an_installation_and_outlive_an_edit() {
    let json = |limit: u32, more: &str| {
        format!(
            r#"[{{ "rule_name": "r", "rule_items": [{{ "limit_by_header": "x", "limit_keys": [{more}{{ "key": "a", "query_per_second": {limit} }}] }}] }}]"#
        )
    };
    let under = |json: &str, api: &str, secret: &[u8]| {
        let rules = Rules::new(
            &limits(json),
            &[],
            api,
            &StateConfig::default(),
            &DigestKey::new(secret),
        )
        .unwrap();
        request().header("x", "a").counted_under(&rules)
    };
    let first = under(&json(1, ""), "agent/a", b"secret");
    let edited = json(5, r#"{ "key": "b", "query_per_second": 1 }, "#);
    assert_eq!(under(&edited, "agent/a", b"secret"), first);
    assert_ne!(under(&json(1, ""), "model/a", b"secret"), first);
    assert_ne!(under(&json(1, ""), "agent/a", b""), first);
    let renamed = |to: &str| json(1, "").replace("\"r\"", &format!("\"{to}\""));
    assert_ne!(under(&renamed("s"), "agent/a", b"secret"), first);
    // What tells counts apart cannot be shifted from one part into the next.
    assert_ne!(under(&renamed("ar"), "agent/", b"secret"), first);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_client_sends_is_judged(
        values in prop::collection::vec((0..4_usize, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
        text in "[-a=;,:.\\[\\]0-9&%+ ]{0,40}",
    ) {
        let rules = rules(
            r#"[{ "rule_name": "r", "rule_items": [
                { "limit_by_per_header": "x", "limit_keys": [{ "key": "regexp:a+$", "query_per_second": 1 }, { "key": "*", "query_per_second": 1 }] },
                { "limit_by_per_param": "a", "limit_keys": [{ "key": "*", "query_per_second": 1 }] },
                { "limit_by_per_cookie": "a", "limit_keys": [{ "key": "*", "query_per_second": 1 }] },
                { "limit_by_per_ip": "from-header-address", "limit_keys": [{ "key": "*", "query_per_second": 1 }] } ] }]"#,
        );
        let key = DigestKey::new(b"");
        let names = ["x", "cookie", "address", "authorization"];
        let mut request = request().query(&text).header("cookie", &text).header("address", &text);
        for (name, value) in values {
            request.headers.append(names[name], value);
        }
        request.dify_app = key.dify_app(&request.headers);
        prop_assert!(request.takes(&rules).len() <= 4);
    }
}

#[test]
fn what_variables_broke_is_told_of() {
    for (json, part) in [
        (
            r#"{ "limit_by_header": "x", "limit_keys": [{ "key": "regexp:(", "query_per_second": 1 }] }"#,
            "no regular expression",
        ),
        (
            r#"{ "limit_by_ip": "from-remote-addr", "limit_keys": [{ "key": "nowhere", "query_per_second": 1 }] }"#,
            "no network",
        ),
    ] {
        let limits = limits(&format!(
            r#"[{{ "rule_name": "r", "rule_items": [{json}] }}]"#
        ));
        let error = Rules::new(
            &limits,
            &[],
            "agent/a",
            &StateConfig::default(),
            &DigestKey::new(b""),
        )
        .unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("`r`") && message.contains(part),
            "{message}"
        );
    }
}

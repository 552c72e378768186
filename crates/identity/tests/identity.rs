//! Who calls, by key and by signature.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use http::Method;
use proptest::prelude::*;
use spillway_config::Consumer;
use spillway_identity::{BodyDigest, Directory, Identity, SignatureFault, Signed};
use spillway_platform::{Headers, RequestHead};

/// When the test vector was signed.
const SIGNED_AT: Duration = Duration::from_millis(1_767_323_045_000);

fn directory() -> Directory {
    let consumers: Vec<Consumer> = serde_json::from_str(
        r#"[{"name":"dify","credentials":[{"api_key":"k1"},{"api_key":"k2"},
              {"hmac":{"access_key":"ak1","secret_key":"sk1"}}]},
            {"name":"strict","credentials":[{"hmac":{"access_key":"ak2","secret_key":"sk1","clock_skew":"1s"}}]},
            {"name":"unset","credentials":[{"api_key":""},{"hmac":{"access_key":"ak3","secret_key":""}}]}]"#,
    )
    .unwrap();
    Directory::new(&consumers)
}

fn request(path_and_query: &str, fields: &[(&str, &str)]) -> RequestHead {
    let list = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    RequestHead {
        method: Method::POST,
        scheme: "http".to_owned(),
        authority: "gateway".to_owned(),
        path_and_query: path_and_query.to_owned(),
        headers: Headers::from_list(list.collect()),
        peer: None,
    }
}

fn told(identity: &Identity) -> String {
    match identity {
        Identity::Absent => "absent".to_owned(),
        Identity::Unknown => "unknown".to_owned(),
        Identity::Faulty(fault) => format!("{fault:?}"),
        Identity::Consumer(caller) => caller.name.to_string(),
    }
}

fn by_headers(fields: &[(&str, &str)]) -> String {
    told(&directory().identify(&request("/", fields), None, SIGNED_AT))
}

#[test]
fn keys_are_taken_from_each_place_a_client_may_put_them() {
    for fields in [
        [("authorization", "Bearer k1")],
        [("authorization", "bearer  k2 ")],
        [("x-api-key", "k1")],
        [("api-key", "k2")],
    ] {
        assert_eq!(by_headers(&fields), "dify", "{fields:?}");
    }
    assert_eq!(
        by_headers(&[("authorization", "Bearer "), ("x-api-key", "k1")]),
        "dify"
    );
}

#[test]
fn empty_and_foreign_credentials_are_absent_and_wrong_ones_unknown() {
    for value in ["", "Bearer", "Bearer ", "  ", "Basic azE6", "k1"] {
        assert_eq!(
            by_headers(&[("authorization", value)]),
            "absent",
            "{value:?}"
        );
    }
    assert_eq!(by_headers(&[]), "absent");
    assert_eq!(by_headers(&[("authorization", "Bearer K1")]), "unknown");
    assert_eq!(by_headers(&[("x-api-key", "k1x")]), "unknown");
    assert_eq!(by_headers(&[("x-ca-key", "nobody")]), "unknown");
    assert_eq!(
        by_headers(&[("x-ca-key", "ak3"), ("x-ca-signature", "")]),
        "unknown"
    );
}

#[test]
fn the_query_is_looked_at_where_that_is_asked_for() {
    let directory = directory();
    for (path, parameter, expected) in [
        ("/v1/models?key=k1", Some("key"), "dify"),
        ("/v1/models?a=1&key=k%31", Some("key"), "dify"),
        ("/v1/models?key=k1", None, "absent"),
        ("/v1/models?key=k1", Some("api_key"), "absent"),
        ("/v1/models?key=", Some("key"), "absent"),
        ("/v1/models?key=x", Some("key"), "unknown"),
    ] {
        let identity = directory.identify(&request(path, &[]), parameter, SIGNED_AT);
        assert_eq!(told(&identity), expected, "{path}");
    }
    let both = request("/?key=k1", &[("x-api-key", "wrong")]);
    let identity = directory.identify(&both, Some("key"), SIGNED_AT);
    assert_eq!(told(&identity), "unknown", "the header comes first");
}

const PATH: &str = "/dify-llm/v1/chat/completions";
const SIGNATURE: &str = "5bvSVrtfLKK9jmAD9yMlTNkWkPYYR14pVJa2a01arrw=";

/// The test vector of Dify's plugin, with one field changed or, where its value is empty, left out.
fn signed(name: &str, value: &str) -> RequestHead {
    let fields = [
        ("accept", "*/*"),
        ("content-type", "application/json"),
        ("date", "Fri, 02 Jan 2026 03:04:05 GMT"),
        ("x-ca-key", "ak1"),
        ("x-ca-nonce", "6a5b0d6e-0000-4000-8000-000000000001"),
        ("x-ca-signature-method", "HmacSHA256"),
        ("x-ca-timestamp", "1767323045000"),
        (
            "x-ca-signature-headers",
            "x-ca-key,x-ca-nonce,x-ca-signature-method,x-ca-timestamp",
        ),
        ("x-ca-signature", SIGNATURE),
    ];
    let changed: Vec<(&str, &str)> = fields
        .into_iter()
        .map(|(key, old)| (key, if key == name { value } else { old }))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    request(PATH, &changed)
}

fn verified(request: &RequestHead, at: Duration) -> Result<Signed, String> {
    match directory().identify(request, None, at) {
        Identity::Consumer(caller) => Ok(caller.signed.unwrap()),
        other => Err(told(&other)),
    }
}

#[test]
fn the_signature_of_difys_plugin_is_understood() {
    let first = verified(&signed("", ""), SIGNED_AT).unwrap();
    assert_eq!(first.until, SIGNED_AT + Duration::from_secs(300));
    assert_eq!(first.content_md5, None);
    assert_eq!(first.once.len(), 64);
    assert_eq!(
        verified(&signed("", ""), SIGNED_AT).unwrap().once,
        first.once
    );
}

#[test]
fn whatever_is_signed_cannot_be_changed() {
    for (name, value) in [
        ("accept", "application/json"),
        ("content-type", "text/plain"),
        ("date", "Fri, 02 Jan 2026 03:04:06 GMT"),
        ("x-ca-nonce", "6a5b0d6e-0000-4000-8000-000000000002"),
        ("x-ca-nonce", ""),
        ("x-ca-timestamp", "1767323045001"),
        ("x-ca-signature-headers", "x-ca-key,x-ca-nonce"),
        ("x-ca-signature-headers", ""),
        ("x-ca-signature", "AAAA"),
    ] {
        assert_eq!(
            verified(&signed(name, value), SIGNED_AT),
            Err(format!("{:?}", SignatureFault::Mismatch)),
            "{name}: {value}"
        );
    }
    let mut elsewhere = signed("", "");
    elsewhere.path_and_query = "/dify-llm/v1/embeddings".to_owned();
    assert!(verified(&elsewhere, SIGNED_AT).is_err());
    elsewhere = signed("", "");
    elsewhere.method = Method::DELETE;
    assert!(verified(&elsewhere, SIGNED_AT).is_err());
}

#[test]
fn a_signature_is_good_for_as_long_as_the_clocks_may_differ() {
    let skew = Duration::from_secs(300);
    let second = Duration::from_secs(1);
    let request = signed("", "");
    for (at, is_good) in [
        (SIGNED_AT + skew, true),
        (SIGNED_AT + skew + second, false),
        (SIGNED_AT - skew, true),
        (SIGNED_AT - skew - second, false),
    ] {
        assert_eq!(verified(&request, at).is_ok(), is_good, "{at:?}");
    }
}

#[test]
fn unusual_signatures_are_told_apart() {
    for (name, value, fault) in [
        ("x-ca-signature", "", SignatureFault::Missing),
        ("x-ca-signature", "not base64!", SignatureFault::Missing),
        ("x-ca-signature-method", "HmacSHA1", SignatureFault::Method),
    ] {
        assert_eq!(
            verified(&signed(name, value), SIGNED_AT),
            Err(format!("{fault:?}")),
            "{name}"
        );
    }
}

#[test]
fn a_body_is_held_against_its_md5() {
    let fits = |content_md5: &str, body: &[u8]| {
        let mut digest = BodyDigest::default();
        for piece in body.chunks(2) {
            digest.push(piece);
        }
        digest.fits(content_md5)
    };
    assert!(fits("XUFAKrxLKna5cZ2REBfFkg==", b"hello"));
    assert!(!fits("XUFAKrxLKna5cZ2REBfFkg==", b"hello!"));
    assert!(!fits("", b""));
}

proptest! {
    /// Whatever a client sends, it is nobody as long as it does not know a secret.
    #[test]
    fn nobody_gets_in_by_chance(
        fields in prop::collection::vec(
            (
                prop::sample::select(vec!["authorization", "x-api-key", "api-key", "x-ca-key", "x-ca-signature",
                    "x-ca-signature-headers", "x-ca-timestamp", "x-ca-nonce", "date", "accept", "content-md5"]),
                prop_oneof![any::<String>(), Just("ak1".to_owned()), Just("Bearer ".to_owned()), Just("AAAA".to_owned())],
            ),
            0..8,
        ),
        path in "/[ -~]{0,20}",
    ) {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let directory = directory();
        let request = request(&path, &fields);
        let identity = directory.identify(&request, Some("key"), SIGNED_AT);
        let is_nobody = !matches!(identity, Identity::Consumer(_));
        let knows_a_key = fields.iter().any(|(_, value)| value.contains("k1") || value.contains("k2")) || path.contains("k1") || path.contains("k2");
        prop_assert!(is_nobody || knows_a_key);
    }
}

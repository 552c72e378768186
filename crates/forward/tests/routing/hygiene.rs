//! Which headers go along, and which the gateway sets itself.

use std::collections::BTreeMap;

use spillway_forward::{
    ForwardedHeaders, PeerTrust, drop_internal_headers, drop_unforwardable_headers,
};

use crate::request;

fn forwarded(peer: &str, authority: &str, headers: &[(&str, &str)]) -> BTreeMap<String, String> {
    let trust = PeerTrust::new(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    let mut asked = request(authority, "/", headers);
    asked.peer = Some(peer.parse().unwrap());
    let claims = ForwardedHeaders::of(&asked, &trust);
    let mut sent = asked.headers.clone();
    claims.apply(&mut sent);
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    sent.iter()
        .map(|(name, value)| (name.to_owned(), text(value)))
        .collect()
}

const CLAIMS: [(&str, &str); 6] = [
    ("x-forwarded-for", "198.51.100.9, 203.0.113.5"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "public.example.com"),
    ("x-real-ip", "198.51.100.9"),
    ("cf-connecting-ip", "198.51.100.9"),
    ("forwarded", "for=198.51.100.9"),
];

#[test]
fn a_stranger_is_not_believed() {
    let sent = forwarded("192.0.2.7:4000", "h:8080", &CLAIMS);
    assert_eq!(sent["x-forwarded-for"], "192.0.2.7");
    assert_eq!(sent["x-real-ip"], "192.0.2.7");
    assert_eq!(sent["x-forwarded-proto"], "http");
    assert_eq!(sent["x-forwarded-host"], "h:8080");
    assert_eq!(sent["x-forwarded-port"], "8080");
    assert!(!sent.contains_key("cf-connecting-ip") && !sent.contains_key("forwarded"));
}

#[test]
fn a_trusted_proxy_is_believed_and_its_own_address_appended() {
    let sent = forwarded("10.1.2.3:4000", "h", &CLAIMS);
    assert_eq!(
        sent["x-forwarded-for"], "203.0.113.5, 10.1.2.3",
        "what stands left of the client is its own invention"
    );
    // The chain's left part could be the client's own invention.
    assert_eq!(sent["x-real-ip"], "203.0.113.5");
    assert_eq!(sent["x-forwarded-proto"], "https");
    assert_eq!(sent["x-forwarded-host"], "public.example.com");
    assert_eq!(sent["x-forwarded-port"], "443");
    let mapped = forwarded("[::ffff:10.1.2.3]:4000", "h", &CLAIMS);
    assert_eq!(
        mapped["x-real-ip"], "203.0.113.5",
        "an IPv4 peer on a dual-stack socket is the same peer"
    );
}

#[test]
fn an_entry_may_come_with_its_port() {
    for (entry, address) in [
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("unknown", "10.1.2.3"),
        ("203.0.113.5:x", "10.1.2.3"),
    ] {
        let sent = forwarded("10.1.2.3:4000", "h", &[("x-forwarded-for", entry)]);
        assert_eq!(sent["x-real-ip"], address, "{entry}");
        let expected = match address {
            "10.1.2.3" => address.to_owned(),
            client => format!("{client}, 10.1.2.3"),
        };
        assert_eq!(
            sent["x-forwarded-for"], expected,
            "the client comes first, without its port"
        );
    }
}

#[test]
fn of_a_list_only_what_trusted_proxies_wrote_is_believed() {
    let sent = |chain: &str| {
        forwarded(
            "10.1.2.3:4000",
            "h",
            &[
                ("x-forwarded-for", chain),
                ("x-forwarded-host", "invented, outer, inner"),
                ("x-forwarded-proto", "https, https, http"),
            ],
        )
    };
    let one_proxy = sent("6.6.6.6, 203.0.113.5");
    assert_eq!(one_proxy["x-forwarded-host"], "inner");
    assert_eq!(one_proxy["x-forwarded-proto"], "http");
    let two_proxies = sent("6.6.6.6, 203.0.113.5, 10.9.9.9");
    assert_eq!(two_proxies["x-forwarded-host"], "outer");
    assert_eq!(two_proxies["x-forwarded-proto"], "https");
}

#[test]
fn headers_of_one_hop_and_of_the_gateway_stay_behind() {
    let mut headers = request(
        "h",
        "/",
        &[
            ("connection", "close"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("host", "h"),
            ("spin-client-addr", "1.2.3.4:5"),
            ("x-gateway-consumer", "root"),
            ("accept", "*/*"),
            ("cookie", "a=b"),
        ],
    )
    .headers;
    drop_unforwardable_headers(&mut headers);
    drop_internal_headers(&mut headers);
    let names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["accept", "cookie"]);
}

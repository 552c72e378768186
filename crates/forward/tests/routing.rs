//! Which API, route and service a request goes to, and what goes along.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use spillway_config::{
    AgentApi, AgentPolicies, AgentProtocol, AgentRoute, AgentTimeouts, ByteSize, DifyService,
    DifyServices, PathMatch, RequestMatch, ValueMatch,
};
use spillway_forward::{
    ForwardedHeaders, PeerTrust, Router, RoutingFailure, Service, Surface, drop_internal_headers,
    drop_unforwardable_headers,
};
use spillway_platform::{Headers, RequestHead};

fn request(authority: &str, path: &str, headers: &[(&str, &str)]) -> RequestHead {
    let list = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    RequestHead {
        method: http::Method::POST,
        scheme: "http".to_owned(),
        authority: authority.to_owned(),
        path_and_query: path.to_owned(),
        headers: Headers::from_list(list.collect()),
        peer: Some("192.0.2.7:4000".parse().unwrap()),
    }
}

fn api(name: &str, domains: &[&str], base_path: &str) -> AgentApi {
    AgentApi {
        name: name.to_owned(),
        protocol: AgentProtocol::Dify,
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        base_path: base_path.to_owned(),
        strip_base_path: true,
        services: DifyServices {
            api: Some("http://api:5001".to_owned()),
            web: Some("http://web:3000/".to_owned()),
            plugin_daemon: None,
            socket_io: None,
        },
        redirect_to_https: false,
        url: None,
        max_body_size: ByteSize::from_mebibytes(100),
        policies: AgentPolicies::default(),
        routes: Vec::new(),
        timeouts: AgentTimeouts::default(),
    }
}

fn route(name: &str, path: PathMatch, header: Option<&str>, service: DifyService) -> AgentRoute {
    let headers = header.map(|value| ("X-App-Id".to_owned(), ValueMatch::Exact(value.to_owned())));
    AgentRoute {
        name: name.to_owned(),
        path,
        methods: Vec::new(),
        conditions: RequestMatch {
            headers: headers.into_iter().collect(),
            query: BTreeMap::new(),
        },
        service: Some(service),
    }
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

fn routed<'a>(router: &'a Router, request: &RequestHead) -> (&'a str, &'a str, String) {
    let found = router.route(request, &request.authority).unwrap();
    (
        found.api,
        found.route,
        format!("{}{}", found.upstream.authority, found.path_and_query),
    )
}

#[test]
fn the_narrowest_domain_wins_then_the_longest_base_path() {
    let router = Router::new(&[
        api("any", &[], "/"),
        api("wild", &["*.example.com"], "/"),
        api("named", &["Dify.example.com"], "/"),
        api("deep", &[], "/team/a"),
    ])
    .unwrap();
    for (host, path, name) in [
        ("dify.EXAMPLE.com:8080", "/v1", "named"),
        ("dify.example.com.", "/v1", "named"),
        ("x.example.com", "/v1", "wild"),
        ("example.com", "/v1", "any"),
        ("127.0.0.1:3000", "/v1", "any"),
        ("[::1]:3000", "/v1", "any"),
        ("other", "/team/a/v1", "deep"),
        ("other", "/team/ab", "any"),
    ] {
        assert_eq!(
            routed(&router, &request(host, path, &[])).0,
            name,
            "{host}{path}"
        );
    }
}

#[test]
fn a_host_that_nobody_serves_goes_nowhere() {
    let router = Router::new(&[api("named", &["dify.example.com"], "/")]).unwrap();
    let asked = request("other", "/v1", &[]);
    let failure = router.route(&asked, "other").unwrap_err();
    assert_eq!(failure, RoutingFailure::NoApi);
}

#[test]
fn the_base_path_is_cut_off_and_everything_else_stays_as_it_was() {
    let router = Router::new(&[api("a", &[], "/team")]).unwrap();
    let asked = request("h", "/team/v1/%2f//x?a=b&a=%C3%BC", &[]);
    assert_eq!(
        routed(&router, &asked),
        ("a", "/v1", "api:5001/v1/%2f//x?a=b&a=%C3%BC".to_owned())
    );
    assert_eq!(routed(&router, &request("h", "/team", &[])).2, "web:3000/");
    let mut kept = api("a", &[], "/team");
    kept.strip_base_path = false;
    let router = Router::new(&[kept]).unwrap();
    assert_eq!(
        routed(&router, &request("h", "/team/v1/x", &[])).2,
        "api:5001/team/v1/x"
    );
}

#[test]
fn own_routes_win_by_length_then_exactness_then_conditions_then_order() {
    let mut config = api("a", &[], "/");
    config.routes = vec![
        route("short", prefix("/v1"), None, DifyService::Web),
        route("plain", prefix("/v1/chat-messages"), None, DifyService::Api),
        route(
            "conditional",
            prefix("/v1/chat-messages"),
            Some("9a34"),
            DifyService::Api,
        ),
        route(
            "late",
            prefix("/v1/chat-messages"),
            Some("9a34"),
            DifyService::Api,
        ),
        route(
            "exact",
            PathMatch::Exact {
                exact: "/v1/chat-messages".to_owned(),
            },
            Some("exact"),
            DifyService::Api,
        ),
        route(
            "shorter-than-dify",
            prefix("/console"),
            None,
            DifyService::Web,
        ),
    ];
    let router = Router::new(&[config]).unwrap();
    for (path, headers, name) in [
        ("/v1/x", &[][..], "short"),
        ("/v1/chat-messages", &[], "plain"),
        (
            "/v1/chat-messages/1/stop",
            &[("x-app-id", "9a34")],
            "conditional",
        ),
        ("/v1/chat-messages", &[("x-app-id", "exact")], "exact"),
        ("/console/api/x", &[], "/console/api"),
        ("/console/x", &[], "shorter-than-dify"),
    ] {
        assert_eq!(
            routed(&router, &request("h", path, headers)).1,
            name,
            "{path}"
        );
    }
}

#[test]
fn a_path_written_in_another_way_is_the_same_path_and_goes_on_as_it_was_sent() {
    let mut config = api("a", &[], "/team");
    config.routes = vec![
        route("bot", prefix("/v1/chat-messages"), None, DifyService::Api),
        route(
            "expression",
            PathMatch::Regex {
                regex: "^/v1/.+/stop$".to_owned(),
            },
            None,
            DifyService::Web,
        ),
    ];
    let router = Router::new(&[config]).unwrap();
    for (path, name, sent) in [
        (
            "/team/v1/chat%2Dmessages?a=%20",
            "bot",
            "api:5001/v1/chat%2Dmessages?a=%20",
        ),
        (
            "/team/v1%2Fchat-messages",
            "bot",
            "api:5001/v1%2Fchat-messages",
        ),
        (
            "/team//v1///chat-messages",
            "bot",
            "api:5001//v1///chat-messages",
        ),
        (
            "/%74eam/v1/chat-messages/%C3%BC?b",
            "bot",
            "api:5001/v1/chat-messages/%C3%BC?b",
        ),
        (
            "/team/v1/chat-messages/1/stop",
            "expression",
            "web:3000/v1/chat-messages/1/stop",
        ),
    ] {
        let routed = routed(&router, &request("h", path, &[]));
        assert_eq!((routed.1, routed.2.as_str()), (name, sent), "{path}");
    }
    let failure = router.route(&request("h", "/team/v1%2f..%2fx", &[]), "h");
    assert_eq!(failure.unwrap_err(), RoutingFailure::DotSegment);
}

#[test]
fn query_conditions_see_decoded_values_and_absence() {
    let mut config = api("a", &[], "/");
    let mut with = route("with", prefix("/v1"), None, DifyService::Api);
    with.conditions.query.insert(
        "app id".to_owned(),
        ValueMatch::Prefix {
            prefix: "ü".to_owned(),
        },
    );
    let mut without = route("without", prefix("/v1"), None, DifyService::Api);
    without
        .conditions
        .query
        .insert("app id".to_owned(), ValueMatch::Present { present: false });
    config.routes = vec![with, without];
    let router = Router::new(&[config]).unwrap();
    assert_eq!(
        routed(&router, &request("h", "/v1?x&app%20id=%C3%BCx", &[])).1,
        "with"
    );
    assert_eq!(routed(&router, &request("h", "/v1?x", &[])).1, "without");
    assert_eq!(routed(&router, &request("h", "/v1?app+id=b", &[])).1, "/v1");
}

#[test]
fn missing_services_and_dot_segments_are_told_apart() {
    let router = Router::new(&[api("a", &[], "/")]).unwrap();
    let failure = |path: &str| router.route(&request("h", path, &[]), "h").unwrap_err();
    let service = DifyService::PluginDaemon;
    assert_eq!(
        failure("/e/hook"),
        RoutingFailure::NoService { api: "a", service }
    );
    let service = DifyService::SocketIo;
    assert_eq!(
        failure("/socket.io/?EIO=4"),
        RoutingFailure::NoService { api: "a", service }
    );
    assert_eq!(
        failure("/v1/%2e%2e/console/api"),
        RoutingFailure::DotSegment
    );
    assert_eq!(routed(&router, &request("h", "/v1?x=/../", &[])).1, "/v1");
}

#[test]
fn polling_and_websocket_go_to_the_same_service() {
    let mut config = api("a", &[], "/");
    config.services.socket_io = Some("http://api_websocket:5001".to_owned());
    let router = Router::new(&[config]).unwrap();
    for (path, headers) in [
        ("/socket.io/?EIO=4&transport=polling", &[][..]),
        (
            "/socket.io/?EIO=4&transport=websocket",
            &[("upgrade", "websocket")][..],
        ),
    ] {
        let destination = router.route(&request("h", path, headers), "h").unwrap();
        assert_eq!(
            destination.service,
            Service::Dify(DifyService::SocketIo),
            "{path}"
        );
        assert_eq!(destination.upstream.authority, "api_websocket:5001");
        assert_eq!(destination.route, "/socket.io/");
    }
}

#[test]
fn browsers_get_pages_on_the_front_end_only() {
    let router = Router::new(&[api("a", &[], "/")]).unwrap();
    let browser = &[("accept", "text/html,*/*")][..];
    let surface = |path: &str, headers| {
        router
            .route(&request("h", path, headers), "h")
            .unwrap()
            .surface
    };
    assert_eq!(surface("/apps", browser), Surface::Page);
    assert_eq!(surface("/apps", &[]), Surface::Dify);
    assert_eq!(surface("/v1/x", browser), Surface::Dify);
}

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

proptest! {
    #[test]
    fn any_request_is_routed_or_refused(path in "/[ -~]{0,60}", host in "[ -~]{0,30}", base in "(/[a-z]{1,3}){0,2}") {
        let router = Router::new(&[api("a", &["*.x"], "/"), api("b", &[], &base)]).unwrap();
        let asked = request(&host, &path, &[("x-forwarded-for", host.as_str())]);
        if let Ok(found) = router.route(&asked, &host) {
            prop_assert!(found.path_and_query.starts_with('/'));
            // A base path written in another way is cut off what was understood, not what was sent.
            if found.stripped.is_none() || !path.contains(['%', '/']) {
                prop_assert!(path.ends_with(found.path_and_query.trim_start_matches('/')));
            }
        }
        let _ = ForwardedHeaders::of(&asked, &PeerTrust::default());
    }
}

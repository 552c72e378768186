//! Which of its API's routes a request takes: by its path, headers and query.

use spillway_config::{DifyService, PathMatch, ValueMatch};
use spillway_forward::{Router, RoutingFailure};

use crate::{api, prefix, request, route, routed};

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
        assert_eq!(
            (routed.1.as_str(), routed.2.as_str()),
            (name, sent),
            "{path}"
        );
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

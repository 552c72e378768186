//! Which API a request is for: by its host and the beginning of its path.

use spillway_forward::{Router, RoutingFailure};

use crate::{api, request, routed};

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
        (
            "a".to_owned(),
            "/v1".to_owned(),
            "api:5001/v1/%2f//x?a=b&a=%C3%BC".to_owned()
        )
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

//! Which of Dify's services a request goes to where no route says so.

use spillway_config::DifyService;
use spillway_forward::{Router, RoutingFailure, Service};
use spillway_surface::Surface;

use crate::{api, request, routed};

#[test]
fn missing_services_and_dot_segments_are_told_apart() {
    let router = Router::new(&[api("a", &[], "/")]).unwrap();
    let failure = |path: &str| router.route(&request("h", path, &[]), "h").unwrap_err();
    let service = DifyService::PluginDaemon;
    assert_eq!(
        failure("/e/hook"),
        RoutingFailure::NoService {
            api: "a".into(),
            service
        }
    );
    let service = DifyService::SocketIo;
    assert_eq!(
        failure("/socket.io/?EIO=4"),
        RoutingFailure::NoService {
            api: "a".into(),
            service
        }
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
        assert_eq!(&*destination.route, "/socket.io/");
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

//! What is different about requests that run an app: whom they are counted for, and how long they may take.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::Method;
use serde_json::json;
use spillway_forward::Router;
use spillway_platform::{Headers, RequestHead};

fn router() -> Router {
    let api = json!({
        "name": "dify",
        "timeouts": { "first_byte": "1s", "run_first_byte": "2s", "idle": "3s", "stream_idle": "4s", "ceiling": "5s" },
        "services": { "api": "http://api:5001", "web": "http://web:3000", "plugin_daemon": "http://plugins:5002" },
        "routes": [
            { "name": "elsewhere", "path": { "exact": "/v1/completion-messages" }, "service": "web" },
            { "name": "bot", "path": { "exact": "/v1/chat-messages" } },
        ],
    });
    Router::new(&[serde_json::from_value(api).unwrap()]).unwrap()
}

fn request(method: Method, path: &str) -> RequestHead {
    RequestHead {
        method,
        scheme: "http".to_owned(),
        authority: "h".to_owned(),
        path_and_query: path.to_owned(),
        headers: Headers::default(),
        peer: None,
    }
}

#[test]
fn a_run_of_the_service_api_that_names_no_user_is_counted_as_one_users() {
    let router = router();
    for (method, path, expected) in [
        (Method::POST, "/v1/chat-messages", Some("")),
        (Method::POST, "//v1/chat%2Dmessages", Some("")),
        (Method::POST, "/v1/workflows/run", Some("")),
        (Method::GET, "/v1/workflow/1/events", Some("")),
        // No runs: without a user they are nobody's.
        (Method::GET, "/v1/messages", None),
        (Method::POST, "/v1/messages/1/feedbacks", None),
        // Not known to Dify by the name in the request.
        (Method::POST, "/api/chat-messages", None),
        (Method::POST, "/console/api/apps/1/chat-messages", None),
        // Not Dify's back end.
        (Method::POST, "/v1/completion-messages", None),
    ] {
        let asked = request(method, path);
        let found = router.route(&asked, "h").unwrap();
        assert_eq!(found.counted_user(None), expected, "{path}");
        assert_eq!(found.counted_user(Some("ann")), Some("ann"), "{path}");
    }
}

#[test]
fn each_class_of_requests_has_its_times() {
    let router = router();
    for (method, path, first_byte, silence, silence_of_events) in [
        // A `stream_idle` above `idle` holds as well.
        (Method::POST, "/v1/chat-messages", 2, 3, 4),
        (Method::POST, "/v1/workflows/run", 2, 3, 4),
        // Plugins and MCP servers send no pings, and may wait for a run.
        (Method::POST, "/mcp/server/x/mcp", 2, 5, 5),
        (Method::GET, "/e/hook", 2, 5, 5),
        (Method::POST, "/triggers/webhook/x", 2, 5, 5),
        (Method::GET, "/v1/info", 1, 3, 3),
        (Method::GET, "/apps", 1, 3, 3),
    ] {
        let asked = request(method, path);
        let found = router.route(&asked, "h").unwrap();
        let timeouts = found.timeouts();
        assert_eq!(timeouts.first_byte.as_secs(), first_byte, "{path}");
        assert_eq!(found.silence(false).as_secs(), silence, "{path}");
        assert_eq!(found.silence(true).as_secs(), silence_of_events, "{path}");
        let longest = silence.max(silence_of_events);
        assert_eq!(timeouts.between_bytes.as_secs(), longest, "{path}");
    }
}

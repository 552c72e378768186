//! The routing table of the nginx that Dify ships (`docker/nginx/conf.d/default.conf.template`).

use spillway_config::DifyService;
use spillway_platform::RequestHead;

/// What Dify's table says about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableRow {
    /// The prefix, which is also the route's name in logs and metrics.
    pub prefix: &'static str,
    pub service: DifyService,
}

/// What a request is to Dify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It runs an app, and its answer tells what the run took.
    Run,
    /// It may wait for a run, but its answer says nothing of it: MCP, triggers, plugin endpoints.
    Waits,
    /// Anything else.
    Other,
}

/// Plain string prefixes, as nginx matches them: `/apix` goes where `/api` goes.
const TABLE: [TableRow; 11] = [
    entry_of("/console/api", DifyService::Api),
    entry_of("/api", DifyService::Api),
    entry_of("/v1", DifyService::Api),
    entry_of("/openapi", DifyService::Api),
    entry_of("/files", DifyService::Api),
    entry_of("/mcp", DifyService::Api),
    entry_of("/triggers", DifyService::Api),
    entry_of("/socket.io/", DifyService::SocketIo),
    entry_of("/e/", DifyService::PluginDaemon),
    entry_of("/explore", DifyService::Web),
    entry_of("/", DifyService::Web),
];

const fn entry_of(prefix: &'static str, service: DifyService) -> TableRow {
    TableRow { prefix, service }
}

/// The entry with the longest prefix of `path`; every path that begins with `/` has one.
pub(crate) fn entry(path: &str) -> Option<TableRow> {
    TABLE
        .iter()
        .filter(|entry| path.starts_with(entry.prefix))
        .max_by_key(|entry| entry.prefix.len())
        .copied()
}

/// What a request below an API's base path is to Dify.
pub(crate) fn class(method: &http::Method, path: &str) -> Class {
    if ["/mcp", "/triggers", "/e/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
    {
        return Class::Waits;
    }
    let (below, is_console) = match path.strip_prefix("/console/api/") {
        Some(below) => (below, true),
        None => match path.strip_prefix("/v1/").or(path.strip_prefix("/api/")) {
            Some(below) => (below, false),
            None => return Class::Other,
        },
    };
    let segments: Vec<&str> = below.trim_end_matches('/').split('/').collect();
    let is_run = match (method.as_str(), segments.as_slice()) {
        ("POST", ["chat-messages" | "completion-messages"])
        | ("POST", ["workflows", "run"] | ["workflows", _, "run"])
        // The stream of a run that goes on after a pause.
        | ("GET", ["workflow", _, "events"]) => true,
        ("POST", [.., "chat-messages" | "completion-messages"]) => is_console,
        ("POST", [before @ .., "run"]) => is_console && before.contains(&"workflows"),
        _ => false,
    };
    if is_run { Class::Run } else { Class::Other }
}

/// Whether a request for `/socket.io/` is one of Engine.IO's transport by WebSocket, and not of its long polling, which
/// is plain HTTP. The field alone does not tell: newer runtimes keep it to themselves.
pub fn asks_for_websocket(request: &RequestHead) -> bool {
    let upgrades = request.headers.all("upgrade");
    let is_websocket = |value: &[u8]| {
        let mut names = value.split(|byte| *byte == b',');
        names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    };
    let is_named = |query: &str| query.split('&').any(|pair| pair == "transport=websocket");
    // RFC 6455, section 4.1: a handshake is a GET.
    request.method == http::Method::GET
        && (upgrades.into_iter().any(is_websocket) || request.query().is_some_and(is_named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_where_nginx_sends_them() {
        for (path, prefix) in [
            ("/console/api/setup", "/console/api"),
            ("/console", "/"),
            ("/apix", "/api"),
            ("/v1/chat-messages", "/v1"),
            ("/openapi/x", "/openapi"),
            ("/files/1/file-preview", "/files"),
            ("/mcp/server/x/mcp", "/mcp"),
            ("/triggers/webhook/x", "/triggers"),
            ("/e/hook/x", "/e/"),
            ("/explore/apps", "/explore"),
            ("/e", "/"),
            ("/_next/static/x.js", "/"),
        ] {
            assert_eq!(entry(path).unwrap().prefix, prefix, "{path}");
        }
        let socket_io = entry("/socket.io/?x").unwrap();
        assert_eq!(socket_io.service, DifyService::SocketIo);
        assert_eq!(entry("relative"), None);
    }

    #[test]
    fn runs_are_told_from_what_waits_for_them_and_from_the_rest() {
        for (method, path, expected) in [
            ("POST", "/v1/chat-messages", Class::Run),
            ("POST", "/v1/chat-messages/", Class::Run),
            ("POST", "/api/completion-messages", Class::Run),
            ("POST", "/v1/workflows/run", Class::Run),
            ("POST", "/v1/workflows/0d5f/run", Class::Run),
            ("GET", "/v1/workflow/0d5f/events", Class::Run),
            ("POST", "/console/api/apps/1/chat-messages", Class::Run),
            (
                "POST",
                "/console/api/apps/1/workflows/draft/run",
                Class::Run,
            ),
            ("POST", "/mcp/server/x/mcp", Class::Waits),
            ("POST", "/triggers/webhook/x", Class::Waits),
            ("GET", "/e/hook/x", Class::Waits),
            ("GET", "/v1/chat-messages", Class::Other),
            ("POST", "/v1/chat-messages/task/stop", Class::Other),
            ("POST", "/v1/files/upload", Class::Other),
            ("GET", "/v1/workflows/run/0d5f", Class::Other),
            ("POST", "/console/api/apps/1/run", Class::Other),
            ("POST", "/chat-messages", Class::Other),
        ] {
            let method = http::Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(class(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_websocket_is_told_from_polling() {
        let asks_by = |method: http::Method, query: &str, upgrade: Option<&str>| {
            let mut headers = spillway_platform::Headers::default();
            if let Some(value) = upgrade {
                headers.append("upgrade", value);
            }
            asks_for_websocket(&RequestHead {
                method,
                scheme: "http".to_owned(),
                authority: "a".to_owned(),
                path_and_query: format!("/socket.io/{query}"),
                headers,
                peer: None,
            })
        };
        let asks = |query: &str, upgrade| asks_by(http::Method::GET, query, upgrade);
        assert!(!asks_by(
            http::Method::POST,
            "?transport=polling",
            Some("websocket")
        ));
        assert!(!asks("?EIO=4&transport=polling", Some("h2c")));
        assert!(asks("?EIO=4&transport=polling", Some("h2c, WebSocket")));
        assert!(asks("?EIO=4&transport=websocket", None));
        assert!(asks("?EIO=4&transport=polling", Some("websocket")));
        assert!(!asks("?EIO=4&transport=polling", None));
        assert!(!asks("?EIO=4&t=transport=websocket", None));
        assert!(!asks("", None));
    }
}

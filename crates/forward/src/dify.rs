//! The routing table of the nginx that Dify ships (`docker/nginx/conf.d/default.conf.template`).

use spillway_config::DifyService;

/// What Dify's table says about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The prefix, which is also the route's name in logs and metrics.
    pub prefix: &'static str,
    pub target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Service(DifyService),
    /// Dify's collaboration mode: a WebSocket, which a Spin component cannot take over.
    WebSocket,
}

/// Plain string prefixes, as nginx matches them: `/apix` goes where `/api` goes.
const TABLE: [Entry; 11] = [
    api("/console/api"),
    api("/api"),
    api("/v1"),
    api("/openapi"),
    api("/files"),
    api("/mcp"),
    api("/triggers"),
    Entry {
        prefix: "/socket.io/",
        target: Target::WebSocket,
    },
    Entry {
        prefix: "/e/",
        target: Target::Service(DifyService::PluginDaemon),
    },
    Entry {
        prefix: "/explore",
        target: Target::Service(DifyService::Web),
    },
    Entry {
        prefix: "/",
        target: Target::Service(DifyService::Web),
    },
];

const fn api(prefix: &'static str) -> Entry {
    Entry {
        prefix,
        target: Target::Service(DifyService::Api),
    }
}

/// The entry with the longest prefix of `path`; every path that begins with `/` has one.
pub(crate) fn entry(path: &str) -> Option<Entry> {
    TABLE
        .iter()
        .filter(|entry| path.starts_with(entry.prefix))
        .max_by_key(|entry| entry.prefix.len())
        .copied()
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
        assert_eq!(entry("/socket.io/?x").unwrap().target, Target::WebSocket);
        assert_eq!(entry("relative"), None);
    }
}

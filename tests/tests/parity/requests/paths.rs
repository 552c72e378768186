//! Where requests go: Dify's table, targets that are written oddly, methods.

use spillway_tests::client::{Body, Request};

use super::{Case, service_api};

/// Every prefix of Dify's table: itself, below it, and where it ends without a slash.
pub(super) fn prefixes() -> Vec<Case> {
    [
        "/console/api",
        "/console/api/setup",
        "/console/apix",
        "/api",
        "/api/passport",
        "/apix",
        "/v1/info?user=u",
        "/v1",
        "/v1?a=b",
        "/v1/",
        "/v1x",
        "/openapi",
        "/openapi/v1/x",
        "/files",
        "/files/8c2f/file-preview?timestamp=1&nonce=2&sign=ab%2Bcd%3D%3D",
        "/mcp",
        "/mcp/server/abc/mcp",
        "/triggers",
        "/triggers/webhook/x",
        "/e/",
        "/e/hook",
        "/e/hook/a%2fb?x=1&y=%20",
        "/e",
        "/socket.io/?EIO=4&transport=polling&t=abc",
        "/socket.io",
        "/explore",
        "/explore/apps",
        "/",
        "/apps",
        "/console",
        "/chat/abc",
        "/_next/static/chunk.js",
        "/health",
        "/V1/info",
        "/.well-known/security.txt",
    ]
    .into_iter()
    .map(|target| Case::new(&format!("prefix: {target}"), service_api("GET", target)))
    .collect()
}

/// Targets that are legal, or are met although they are not.
pub(super) fn odd_paths() -> Vec<Case> {
    let targets = [
        "//v1/info",
        "/v1//info//",
        "///",
        "/%76%31/info",
        "/v1%2Finfo",
        "/v1/a%2Fb%2fc",
        "/%2Fv1/info",
        "/v1/../x",
        "/v1/./info",
        "/v1/%2e%2e/x",
        "/v1/x..y/.../.hidden",
        "/v1/x?path=../../etc",
        "/v1/x?",
        "/v1/x??a",
        "/v1/x?a=b&a=c&empty=&flag",
        "/v1/x?q=%20+%zz",
        "/v1/x?url=http://a.example/b?c=d&e",
        "/v1/x?filter[a]=1&json={a:1}|b",
        "/v1/x?json={\"a\":1}",
        "/v1/~user/!$&'()*,=:@",
        "/v1/x;param=1/y",
        "/v1/%E4%BD%A0%E5%A5%BD?q=%F0%9F%8C%8D",
        "/v1/%e9",
        "/v1/a%0d%0ab",
        "/v1/a%00b",
        "/v1/%zz",
        "/e//hook",
        "//e/hook",
    ];
    let mut cases: Vec<Case> = targets
        .into_iter()
        .map(|target| Case::new(&format!("target: {target}"), service_api("GET", target)))
        .collect();
    for kibibytes in [6, 16] {
        let target = format!("/v1/x?q={}", "a".repeat(kibibytes << 10));
        cases.push(Case::new(
            &format!("target: a query of {kibibytes} KiB"),
            service_api("GET", &target),
        ));
    }
    for (name, target) in [
        ("target: absolute", "http://dify.example.com/v1/info?a=b"),
        (
            "target: absolute, without a path",
            "http://dify.example.com",
        ),
    ] {
        cases.push(Case::new(name, service_api("GET", target)));
    }
    cases.push(Case::new("target: asterisk", Request::new("OPTIONS", "*")));
    cases
}

/// Every method, with a body and without.
pub(super) fn methods() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in [
        "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE",
    ] {
        cases.push(Case::new(
            &format!("method: {method} without a body"),
            service_api(method, "/v1/conversations/1"),
        ));
    }
    for method in ["GET", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
        let request = service_api(method, "/v1/conversations/1")
            .header("Content-Type", "application/json")
            .body(Body::Length("{\"user\":\"grüße\"}".into()));
        cases.push(Case::new(&format!("method: {method} with a body"), request));
    }
    let preflight = Request::new("OPTIONS", "/console/api/apps")
        .header("Origin", "https://console.example.com")
        .header("Access-Control-Request-Method", "PATCH")
        .header(
            "Access-Control-Request-Headers",
            "authorization, x-csrf-token",
        );
    cases.push(Case::new("method: a preflight", preflight));
    cases.push(Case::new(
        "method: HEAD of a page",
        Request::new("HEAD", "/apps"),
    ));
    cases
}

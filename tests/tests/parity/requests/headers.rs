//! What stands in the heads of requests.

use spillway_tests::client::Request;

use super::{Case, HOST, service_api};

/// What browsers and clients of Dify send.
pub(super) fn ordinary() -> Vec<Case> {
    let browser = Request::get("/console/api/apps?page=1")
        .header("Cookie", "access_token=a.b.c; csrf_token=d; locale=zh-Hans")
        .header("X-CSRF-Token", "d")
        .header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
        .header("Accept", "text/html,application/json;q=0.9,*/*;q=0.8")
        .header("Accept-Encoding", "gzip, deflate, br, zstd")
        .header("Accept-Language", "zh-CN,zh;q=0.9")
        .header("Origin", "https://dify.example.com")
        .header("Referer", "https://dify.example.com/apps?a=b")
        .header("Sec-Fetch-Mode", "cors")
        .header("sec-ch-ua", "\"Chromium\";v=\"130\"")
        .header("Cache-Control", "no-cache")
        .header("Pragma", "no-cache")
        .header("DNT", "1");
    let mut cases = vec![
        Case::new("header: a browser's", browser),
        Case::new(
            "header: a web app's",
            Request::get("/api/site")
                .header("X-App-Code", "code")
                .header("X-App-Passport", "passport"),
        ),
        Case::new(
            "header: traces",
            service_api("GET", "/v1/info")
                .header("X-Trace-Id", "trace-1")
                .header(
                    "traceparent",
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                )
                .header("tracestate", "a=b")
                .header("baggage", "a=b"),
        ),
        Case::new(
            "header: the client's own request id",
            service_api("GET", "/v1/info").header("X-Request-Id", "client-1"),
        ),
        Case::new(
            "header: a wrong key",
            Request::get("/v1/info").header("Authorization", "Basic YTpi"),
        ),
        Case::new("header: no key", Request::get("/v1/info")),
        Case::new(
            "header: the host with a port, in capitals",
            Request::get("/v1").header("Host", "Dify.Example.COM:8443"),
        ),
        Case::new(
            "header: the host with a final dot",
            service_api("GET", "/v1/info").header("Host", "dify.example.com."),
        ),
        Case::new(
            "header: an address as host",
            Request::get("/e/hook").header("Host", "[::1]:8080"),
        ),
        Case::new(
            "header: the host with a port, of a plugin endpoint",
            Request::get("/e/hook?x").header("Host", "dify.example.com:8443"),
        ),
    ];
    let conditions: [(&str, &[(&str, &str)]); 9] = [
        ("If-None-Match, known", &[("If-None-Match", "\"file-1\"")]),
        (
            "If-None-Match, weak",
            &[("If-None-Match", "W/\"other\", \"b\"")],
        ),
        ("If-Match", &[("If-Match", "*")]),
        (
            "dates",
            &[
                ("If-Modified-Since", "Wed, 21 Oct 2026 07:28:00 GMT"),
                ("If-Unmodified-Since", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ],
        ),
        ("a range", &[("Range", "bytes=10-19")]),
        ("a range without an end", &[("Range", "bytes=1000-")]),
        ("a last part", &[("Range", "bytes=-5")]),
        ("several ranges", &[("Range", "bytes=0-1,5-6")]),
        (
            "a range if unchanged",
            &[("Range", "bytes=0-9"), ("If-Range", "\"file-1\"")],
        ),
    ];
    for (name, fields) in conditions {
        for method in ["GET", "HEAD"] {
            let request = fields.iter().fold(
                Request::new(method, "/files/1/image-preview"),
                |request, (name, value)| request.header(name, value),
            );
            cases.push(Case::new(&format!("condition: {method}, {name}"), request));
        }
    }
    cases
}

/// What a client writes to pass for another one.
pub(super) fn spoofed() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("X-Forwarded-For", "203.0.113.7, 198.51.100.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "public.example.com"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Prefix", "/prefix"),
        ("X-Forwarded-Server", "server"),
        ("X-Real-IP", "203.0.113.8"),
        ("CF-Connecting-IP", "203.0.113.9"),
        ("True-Client-IP", "203.0.113.10"),
        ("X-Client-IP", "203.0.113.11"),
        ("X-Original-URL", "/console/api/admin"),
        ("X-Rewrite-URL", "/console/api/admin"),
        ("Forwarded", "for=203.0.113.12;proto=https"),
        ("Dify-Hook-Url", "http://evil.example/"),
        ("X-Gateway-Provider", "forged"),
        ("X-Gateway-Reason", "forged"),
        ("Spin-Client-Addr", "203.0.113.13:1"),
    ]
    .into_iter()
    .map(|(name, value)| {
        let request = service_api("GET", "/v1/info").header(name, value);
        Case::new(&format!("claim: {name}"), request)
    })
    .collect();
    cases.push(Case::new(
        "claim: X-Forwarded-For in several lines",
        service_api("GET", "/v1/info")
            .header("X-Forwarded-For", "203.0.113.7")
            .header("X-Forwarded-For", "198.51.100.1"),
    ));
    cases.push(Case::new(
        "claim: Dify-Hook-Url to a plugin endpoint",
        Request::get("/e/hook").header("Dify-Hook-Url", "http://evil.example/"),
    ));
    cases
}

/// Legal, and seldom.
pub(super) fn odd() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        (
            "several lines of one name",
            &[("X-Twice", "1"), ("X-Twice", "2")][..],
        ),
        (
            "several Cookie lines",
            &[("Cookie", "a=1"), ("Cookie", "b=2")],
        ),
        ("an empty value", &[("X-Empty", "")]),
        (
            "a name with an underscore",
            &[("X_User", "admin"), ("X-Stays", "1")],
        ),
        (
            "a name with other token characters",
            &[("X.Dot", "1"), ("X!~", "2")],
        ),
        ("a value in UTF-8", &[("X-Name", "grüße 你好")]),
        ("a tab in a value", &[("X-Tab", "a\tb")]),
        ("spaces around a value", &[("X-Spaces", "   padded   ")]),
        (
            "Connection: keep-alive",
            &[("Connection", "keep-alive"), ("Keep-Alive", "timeout=5")],
        ),
        ("Connection: close", &[("Connection", "close")]),
        (
            "Connection naming a field",
            &[("Connection", "X-Named"), ("X-Named", "1")],
        ),
        ("Proxy-Connection", &[("Proxy-Connection", "keep-alive")]),
        (
            "Proxy-Authorization",
            &[("Proxy-Authorization", "Basic YTpi")],
        ),
        ("TE", &[("TE", "trailers")]),
        (
            "an offer of HTTP/2",
            &[
                ("Connection", "Upgrade, HTTP2-Settings"),
                ("Upgrade", "h2c"),
                ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
            ],
        ),
        ("Max-Forwards", &[("Max-Forwards", "5")]),
        ("Via", &[("Via", "1.1 proxy")]),
    ]
    .into_iter()
    .map(|(name, fields)| {
        let request = fields
            .iter()
            .fold(service_api("GET", "/v1/info"), |request, (name, value)| {
                request.header(name, value)
            });
        Case::new(&format!("header: {name}"), request)
    })
    .collect();
    for kibibytes in [7, 20, 60, 70] {
        cases.push(Case::new(
            &format!("header: a cookie of {kibibytes} KiB"),
            Request::get("/console/api/apps")
                .header("Cookie", &format!("a={}", "b".repeat(kibibytes << 10))),
        ));
    }
    for count in [80, 120] {
        let many = (0..count).fold(service_api("GET", "/v1/info"), |request, number| {
            request.header(&format!("X-Number-{number}"), "value")
        });
        cases.push(Case::new(&format!("header: {count} of them"), many));
    }
    for target in ["/socket.io/?EIO=4&transport=websocket", "/apps"] {
        let request = Request::get(target)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Sec-WebSocket-Version", "13");
        cases.push(Case::new(
            &format!("header: a WebSocket at {target}"),
            request,
        ));
    }
    let mut latin_1 =
        format!("GET /api/x HTTP/1.1\r\nHost: {HOST}\r\nX-Mark: {{mark}}\r\nX-Name: gr")
            .into_bytes();
    latin_1.extend_from_slice(b"\xfc\xdfe\r\n\r\n");
    cases.push(Case::bytes("header: a value in Latin 1", latin_1));
    cases.push(Case::bytes(
        "header: HTTP/1.0",
        format!("GET /api/x HTTP/1.0\r\nHost: {HOST}\r\nX-Mark: {{mark}}\r\n\r\n"),
    ));
    cases
}

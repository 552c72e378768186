//! What comes back, other than streams.

use bytes::Bytes;
use serde_json::json;
use spillway_tests::{
    client::Request,
    standin::{Behaviour, Reply, Step},
};

use super::{Case, HOST, service_api};

fn get(name: &str) -> Case {
    Case::new(&format!("answer: {name}"), service_api("GET", "/api/x"))
}

/// What Dify answers.
pub(super) fn ordinary() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "answer: a login with three cookies",
            Request::json("/console/api/login", &json!({"email": "a@b.example"})),
        ),
        Case::new(
            "answer: sound without a length",
            Request::json("/v1/text-to-audio", &json!({"text": "a"})).bearer("app-parity-1"),
        ),
        get("nothing, 204").answered(Reply::new(204).header("X-Version", "1.17.0")),
        get("not modified, 304").answered(
            Reply::new(304)
                .header("ETag", "\"1\"")
                .header("Cache-Control", "max-age=60")
                .header("Last-Modified", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ),
        get("compressed").answered(
            Reply::new(200)
                .header("Content-Type", "application/json")
                .header("Content-Encoding", "gzip")
                .header("Vary", "Accept-Encoding")
                .header("ETag", "W/\"abc\"")
                .body(vec![0x1f, 0x8b, 0x08, 0x00, 0xff, 0x00]),
        ),
        get("compressed, chunked").answered(
            Reply::new(200)
                .header("Content-Type", "text/html; charset=utf-8")
                .header("Content-Encoding", "br")
                .body(vec![0x8b; 5000])
                .chunked(700),
        ),
        get("a large file").answered(
            Reply::new(200)
                .header("Content-Type", "application/pdf")
                .header(
                    "Content-Disposition",
                    "attachment; filename*=UTF-8''%E4%BD%A0.pdf",
                )
                .header("Accept-Ranges", "bytes")
                .body(Bytes::from(vec![7; 3 << 20])),
        ),
        get("Dify's CORS").answered(
            Reply::new(200)
                .header("Access-Control-Allow-Origin", "https://console.example.com")
                .header("Access-Control-Allow-Credentials", "true")
                .header("Access-Control-Expose-Headers", "X-Version, X-Env")
                .header("Vary", "Origin")
                .header("Vary", "Cookie")
                .header("X-Version", "1.17.0")
                .header("X-Env", "PRODUCTION")
                .body("{}"),
        ),
        get("a cookie of a secure installation").answered(
            Reply::new(200)
                .header(
                    "Set-Cookie",
                    "__Host-access_token=a; Secure; HttpOnly; Path=/; SameSite=Lax",
                )
                .header(
                    "Set-Cookie",
                    "x=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/",
                )
                .body("{}"),
        ),
    ];
    for (status, location) in [
        (301, "/apps"),
        (
            302,
            "https://github.com/login/oauth/authorize?client_id=a&state=b",
        ),
        (303, "//cdn.example.com/x"),
        (307, "http://dify.example.com/apps?a=b#c"),
        (308, "relative/to#this"),
    ] {
        cases.push(
            get(&format!("redirect {status} to {location}"))
                .answered(Reply::new(status).header("Location", location)),
        );
    }
    for status in [
        400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 502, 503, 504, 507,
    ] {
        cases.push(get(&format!("Dify's own {status}")).behaving(Behaviour::Error(status)));
    }
    cases.push(get("too busy").answered(Reply::new(503).header("Retry-After", "7").body("wait")));
    cases
}

/// Legal, and seldom. `upstream` is the back end's own address.
pub(super) fn odd(upstream: &str) -> Vec<Case> {
    let written = |name: &str, text: &str| {
        get(name).behaving(Behaviour::Raw(vec![Step::text(text), Step::Close]))
    };
    let mut latin_1 = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: gr".to_vec();
    latin_1.extend_from_slice(b"\xfc\xdfe\r\n\r\nok");
    vec![
        written(
            "neither length nor chunks",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nuntil the close",
        ),
        written(
            "HTTP/1.0",
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold",
        ),
        written(
            "an own reason phrase",
            "HTTP/1.1 200 Wonderful\r\nContent-Length: 2\r\n\r\nok",
        ),
        written(
            "a status of no register",
            "HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok",
        ),
        written(
            "early hints",
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ),
        written(
            "to go on",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ),
        written(
            "shorter than its length",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        ),
        written(
            "folded whitespace and an empty value",
            "HTTP/1.1 200 OK\r\nX-Empty:\r\nX-Spaces:   a  \r\nContent-Length: 2\r\n\r\nok",
        ),
        get("a value in Latin 1").behaving(Behaviour::Raw(vec![Step::Write(latin_1.into())])),
        get("a value in UTF-8").answered(Reply::new(200).header("X-Name", "grüße 你好").body("ok")),
        get("with a trailer").answered(
            Reply::new(200)
                .header("Trailer", "X-Checksum")
                .body("hello")
                .chunked(3)
                .trailer("X-Checksum", "abc"),
        ),
        get("empty, with a length of 0").answered(Reply::new(200)),
        get("empty, chunked").answered(Reply::new(200).chunked(10)),
        get("the server's own date and name").answered(
            Reply::new(200)
                .header("Server", "gunicorn")
                .header("Date", "Wed, 21 Oct 2026 07:28:00 GMT")
                .body("ok"),
        ),
        get("fields of the hop").answered(
            Reply::new(200)
                .header("Connection", "keep-alive")
                .header("Keep-Alive", "timeout=5")
                .header("Upgrade", "h2c")
                .header("Proxy-Authenticate", "Basic")
                .header("X-Stays", "1")
                .body("ok"),
        ),
        get("words to an nginx").answered(
            Reply::new(200)
                .header("X-Accel-Expires", "0")
                .header("X-Accel-Buffering", "no")
                .body("ok"),
        ),
        Case::new(
            "answer: with a trailer, to a client that takes one",
            service_api("GET", "/api/x").header("TE", "trailers"),
        )
        .answered(
            Reply::new(200)
                .header("Trailer", "X-Checksum")
                .body("hello")
                .chunked(3)
                .trailer("X-Checksum", "abc"),
        ),
        get("not modified, 304, with a length").answered(
            Reply::new(304)
                .header("ETag", "\"1\"")
                .header("Content-Length", "1024"),
        ),
        Case::new(
            "answer: chunked, to HEAD",
            service_api("HEAD", "/files/1/file-preview"),
        )
        .answered(Reply::new(200).body("hello").chunked(2)),
        get("redirect to the service's own address")
            .answered(Reply::new(302).header("Location", &format!("{upstream}/x?a=b"))),
        get("3 KiB of headers").answered(
            Reply::new(200)
                .header("X-Large", &"a".repeat(3 << 10))
                .body("ok"),
        ),
        get("40 KiB of headers").answered(
            Reply::new(200)
                .header("X-Large", &"a".repeat(40 << 10))
                .body("ok"),
        ),
        Case::bytes(
            "answer: chunked, to HTTP/1.0",
            format!("GET /files/x HTTP/1.0\r\nHost: {HOST}\r\nX-Mark: {{mark}}\r\n\r\n"),
        )
        .answered(Reply::new(200).body("hello").chunked(2)),
    ]
}

/// Where a service is down.
pub(super) fn of_nobody() -> Vec<Case> {
    let post = Request::post("/e/hook", "application/json", "{}");
    vec![
        Case::new("no service: GET", Request::get("/e/hook?x")),
        Case::new("no service: POST", post),
    ]
}

/// Where there is no answer to pass on.
pub(super) fn failures() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, behaviour) in [
        ("closed before it", Behaviour::Close),
        ("reset before it", Behaviour::Reset),
        ("no HTTP", Behaviour::Garbage),
    ] {
        for (method, target) in [("GET", "/v1/info"), ("POST", "/api/x"), ("GET", "/apps")] {
            let case = Case::new(
                &format!("no answer: {method} {target}, {name}"),
                service_api(method, target).header("Accept", "text/html, application/json"),
            );
            cases.push(case.behaving(behaviour.clone()));
        }
    }
    cases
}

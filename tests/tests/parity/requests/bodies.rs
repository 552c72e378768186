//! What requests carry.

use bytes::Bytes;
use serde_json::json;
use spillway_tests::client::{Body, Request};

use super::{Case, HOST, service_api};

/// Dify's largest upload by default, and one byte more.
const TOO_LARGE: usize = 100 * 1024 * 1024 + 1;

fn multipart(size: usize) -> Vec<u8> {
    let mut body =
        b"--boundary\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nabc-123\r\n\
        --boundary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n"
            .to_vec();
    body.extend((0..=u8::MAX).cycle().take(size));
    body.extend_from_slice(b"\r\n--boundary--\r\n");
    body
}

fn upload() -> Request {
    service_api("POST", "/v1/files/upload")
        .header("Content-Type", "multipart/form-data; boundary=boundary")
}

fn pieces(body: &[u8], size: usize) -> Vec<Bytes> {
    body.chunks(size).map(Bytes::copy_from_slice).collect()
}

/// Uploads, forms, bodies of every framing.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, size) in [("small", 300), ("300 KiB", 300 << 10), ("1 MiB", 1 << 20)] {
        let body = multipart(size);
        cases.push(Case::new(
            &format!("body: multipart upload, {name}, with a length"),
            upload().body(Body::Length(body.clone().into())),
        ));
        cases.push(Case::new(
            &format!("body: multipart upload, {name}, chunked"),
            upload().body(Body::Chunked(pieces(&body, 10_000))),
        ));
    }
    let json =
        service_api("POST", "/v1/x").header("Content-Type", "application/json; charset=utf-8");
    let blocking =
        json!({"inputs": {}, "query": "grüße 你好", "response_mode": "blocking", "user": "u"});
    let chunked = |bytes: &'static str| Body::Chunked(vec![Bytes::from(bytes)]);
    let trailer = ("X-Checksum".to_owned(), "abc".to_owned());
    cases.extend([
        Case::new(
            "body: a blocking run",
            Request::json("/v1/chat-messages", &blocking).bearer("app-parity-1"),
        ),
        Case::new(
            "body: empty, with a length of 0",
            json.clone().body(Body::Length(Bytes::new())),
        ),
        Case::new("body: empty, chunked", json.clone().body(Body::Chunked(Vec::new()))),
        Case::new("body: chunked", json.clone().body(chunked("{\"a\":1}"))),
        Case::new(
            "body: chunked, with a trailer",
            json.clone()
                .header("Trailer", "X-Checksum")
                .body(Body::Trailed(vec![Bytes::from("{}")], vec![trailer])),
        ),
        Case::new(
            "body: compressed",
            json.clone()
                .header("Content-Encoding", "gzip")
                .body(Body::Length(vec![0x1f, 0x8b, 0x08, 0x00, 0xff].into())),
        ),
        Case::new(
            "body: a form",
            Request::post(
                "/console/api/x",
                "application/x-www-form-urlencoded",
                "a=b&c=%20d",
            ),
        ),
        Case::new(
            "body: a GET with a chunked body",
            service_api("GET", "/v1/x").body(chunked("{}")),
        ),
        Case::new(
            "body: a webhook of any type",
            Request::post("/triggers/webhook/x", "text/xml", "<a>\u{1F30D}</a>"),
        ),
        Case::new(
            "body: of a plugin endpoint",
            Request::post("/e/hook/x", "application/json", "{}"),
        ),
        Case::new(
            "body: a call of an app as an MCP server",
            Request::json(
                "/mcp/server/abc/mcp",
                &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
            )
            .header("Accept", "application/json, text/event-stream")
            .header("MCP-Protocol-Version", "2025-06-18"),
        ),
        Case::new(
            "body: a poll's packet of the collaboration mode",
            Request::post(
                "/socket.io/?EIO=4&transport=polling&sid=1",
                "text/plain;charset=UTF-8",
                "40",
            ),
        ),
        Case::bytes(
            "body: chunks with extensions",
            format!(
                "POST /api/x HTTP/1.1\r\nHost: {HOST}\r\nX-Mark: {{mark}}\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5;name=value\r\nhello\r\n0;last\r\n\r\n"
            ),
        ),
        Case::bytes(
            "body: the client waits to be asked for it",
            format!(
                "POST /api/x HTTP/1.1\r\nHost: {HOST}\r\nX-Mark: {{mark}}\r\nExpect: 100-continue\r\n\
                 Content-Length: 5\r\n\r\nhello"
            ),
        ),
        Case::new(
            "body: announced larger than allowed",
            upload()
                .header("Content-Length", &TOO_LARGE.to_string())
                .body(Body::Raw(Bytes::new())),
        ),
    ]);
    cases
}

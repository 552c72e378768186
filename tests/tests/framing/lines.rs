//! Request lines and header lines that are not what they should be.

use anyhow::Result;
use spillway_tests::run;

use crate::{
    Case,
    Expected::{self, ClosedByHost, RefusedByGateway, RefusedByHost},
    Target, get, head,
};

/// `GET /v1/x` with this header line, or whatever it is.
fn with_line(line: &[u8]) -> Vec<u8> {
    let head = head("GET /v1/x HTTP/1.1");
    [head.as_bytes(), line, b"\r\n\r\n"].concat()
}

fn here() -> Expected {
    Expected::arrives("/v1/x")
}

/// With `Host` written by the case itself.
fn without_host(request_line: &str, lines: &str) -> String {
    head(&format!("{request_line}\r\n{lines}")).replacen("Host: dify\r\n", "", 1)
}

fn header_lines() -> Vec<Case> {
    let mut cases = vec![
        Case::new("a plain request", get("/v1/x"), here()),
        Case::new(
            "bare LF at all ends of lines",
            get("/v1/x").replace("\r\n", "\n"),
            here(),
        ),
        Case::new(
            "empty lines before the request line",
            format!("\r\n\r\n{}", get("/v1/x")),
            here(),
        ),
        // The names that `Connection` lists are the gateway's own: a client must not be able to take them away.
        Case::new(
            "the gateway's own fields listed as the connection's",
            with_line(b"Connection: x-forwarded-for, x-real-ip, x-mark, authorization"),
            here(),
        ),
        // As the library that reads UTF-8 into a component has it; Spin does the same.
        Case::new(
            "a value in Latin 1",
            with_line(b"X-Name: caf\xe9"),
            RefusedByHost(500),
        ),
    ];
    for (name, line) in [
        ("a folded line", &b"X-Folded: a\r\n b"[..]),
        ("a line folded with a tab", b"X-Folded: a\r\n\tb"),
        (
            "a folded transfer coding",
            b"Transfer-Encoding:\r\n chunked",
        ),
        ("a space before the colon", b"X-Name : a"),
        (
            "a space before a transfer coding's colon",
            b"Transfer-Encoding : chunked",
        ),
        ("a NUL in a value", b"X-Name: a\0b"),
        ("a control character in a value", b"X-Name: a\x01b"),
        ("a DEL in a value", b"X-Name: a\x7fb"),
        ("a bare CR in a value", b"X-Name: a\rb"),
        (
            "a bare CR before a header line",
            b"X-Name: a\rTransfer-Encoding: chunked",
        ),
        ("a NUL in a name", b"X-Na\0me: a"),
        ("a space in a name", b"X Name: a"),
        ("a parenthesis in a name", b"X-(Name): a"),
        ("an umlaut in a name", b"X-N\xc3\xa4me: a"),
        ("no name", b": a"),
        ("no colon", b"X-Name"),
    ] {
        cases.push(Case::new(name, with_line(line), RefusedByHost(400)));
    }
    cases
}

fn request_lines() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in [
        "GET  /v1/x HTTP/1.1",
        "GET /v1/x  HTTP/1.1",
        "GET\t/v1/x\tHTTP/1.1",
        " GET /v1/x HTTP/1.1",
        "GET /v1/x HTTP/1.1 ",
        "GET /v1/x /v1/y HTTP/1.1",
        "GET /v1/x",
        "GET /v1/x HTTP/1.2",
        "GET /v1/x HTTP/2.0",
        "GET /v1/x http/1.1",
        "GET /v1/x HTTP/01.1",
        "GET v1/x HTTP/1.1",
        "GET HTTP/1.1",
        "G\x01T /v1/x HTTP/1.1",
        "GET /v1/x\0 HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        let bytes = format!("{}\r\n", head(line));
        cases.push(Case::new(format!("{line:?}"), bytes, RefusedByHost(400)));
    }
    cases
}

fn versions_and_hosts() -> Vec<Case> {
    let old = |lines: &str| format!("{}{lines}\r\n", head("GET /v1/x HTTP/1.0"));
    let new = |lines: &str| format!("{}\r\n", without_host("GET /v1/x HTTP/1.1", lines));
    let mut cases = vec![
        Case::new("HTTP/1.0 with a host", old(""), here()),
        Case::new(
            "HTTP/1.0, kept alive",
            old("Connection: keep-alive\r\n"),
            here(),
        ),
        Case::new(
            "HTTP/1.0 without a host",
            format!("{}\r\n", without_host("GET /v1/x HTTP/1.0", "X-A: b")),
            ClosedByHost,
        ),
        // HTTP/1.0 knows no chunks: what two servers make of them may differ (RFC 9112, 6.1).
        Case::new(
            "HTTP/1.0 with chunks",
            old("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
            RefusedByHost(400),
        ),
        Case::new("HTTP/1.1 without a host", new("X-A: b"), ClosedByHost),
        // The library that reads it takes any text for a port. It names no other host.
        Case::new("a port that is none", new("Host: dify:x"), here()),
        Case::new(
            "two hosts",
            new("Host: dify\r\nHost: other"),
            RefusedByGateway(400),
        ),
        Case::new(
            "the same host twice",
            new("Host: dify\r\nHost: dify"),
            RefusedByGateway(400),
        ),
    ];
    for host in ["", "a b", "a, b", "a/b", "http://dify", "[::1"] {
        cases.push(Case::new(
            format!("the host {host:?}"),
            new(&format!("Host: {host}")),
            ClosedByHost,
        ));
    }
    cases
}

#[test]
fn header_lines_that_are_none() -> Result<()> {
    run(async { Target::start().await?.check(&header_lines()).await })
}

#[test]
fn request_lines_that_are_none() -> Result<()> {
    run(async { Target::start().await?.check(&request_lines()).await })
}

#[test]
fn versions_and_the_host() -> Result<()> {
    run(async { Target::start().await?.check(&versions_and_hosts()).await })
}

//! Chunks: their sizes, their ends, what stands beside them; and bodies where none is expected.

use anyhow::Result;
use spillway_tests::{
    run,
    standin::{BodyFraming, Service},
};

use crate::{
    Arrival, Case,
    Expected::{self, BreaksOff},
    SMUGGLED, Target, head, post,
};

fn chunked(name: impl Into<String>, body: &str, expected: Expected) -> Case {
    let bytes = post("Transfer-Encoding: chunked\r\n", body);
    Case::new(name, bytes, expected)
}

fn hi() -> Expected {
    Expected::arrives_with("hi", BodyFraming::Chunked)
}

fn cases() -> Vec<Case> {
    let mut cases = vec![
        chunked("a chunk", "2\r\nhi\r\n0\r\n\r\n", hi()),
        chunked(
            "capital digits and leading zeros",
            "00000002\r\nhi\r\n0000\r\n\r\n",
            hi(),
        ),
        chunked(
            "a chunk extension",
            "2;name=\"value\"\r\nhi\r\n0;last\r\n\r\n",
            hi(),
        ),
        chunked("trailers", "2\r\nhi\r\n0\r\nX-Checksum: 1\r\n\r\n", hi()),
        chunked(
            "trailers that would be framing in a head",
            "2\r\nhi\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n",
            hi(),
        ),
    ];
    let many_digits = format!("{}2\r\nhi\r\n0\r\n\r\n", "f".repeat(100 * 1024));
    let long_line = format!("2;{}\r\nhi\r\n0\r\n\r\n", "x".repeat(100 * 1024));
    let many_extensions = "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nh\r\n".repeat(4096);
    let many_trailers = format!("2\r\nhi\r\n0\r\n{}\r\n", "X-A: b\r\n".repeat(4096));
    let long_trailer = format!("2\r\nhi\r\n0\r\nX-A: {}\r\n\r\n", "b".repeat(200 * 1024));
    for (name, body) in [
        (
            "a size beyond 64 bits",
            "10000000000000002\r\nhi\r\n0\r\n\r\n",
        ),
        ("a size with a sign", "+2\r\nhi\r\n0\r\n\r\n"),
        ("a negative size", "-2\r\nhi\r\n0\r\n\r\n"),
        ("a size with 0x", "0x2\r\nhi\r\n0\r\n\r\n"),
        ("a size with an underscore", "0_2\r\nhi\r\n0\r\n\r\n"),
        ("no size", "\r\nhi\r\n0\r\n\r\n"),
        ("an extension alone", ";a\r\nhi\r\n0\r\n\r\n"),
        ("a size line with a bare LF", "2\nhi\r\n0\r\n\r\n"),
        ("a bare LF in an extension", "2;a\nhi\r\n0\r\n\r\n"),
        ("a bare LF after a chunk", "2\r\nhi\n0\r\n\r\n"),
        ("a chunk longer than its size", "2\r\nhix\r\n0\r\n\r\n"),
        ("a chunk shorter than its size", "3\r\nhi\r\n0\r\n\r\n"),
        ("a size of 100 KiB of digits", many_digits.as_str()),
        ("an oversized extension", long_line.as_str()),
        ("many extensions", many_extensions.as_str()),
        ("many trailers", many_trailers.as_str()),
        ("a long trailer", long_trailer.as_str()),
    ] {
        cases.push(chunked(name, body, BreaksOff));
    }
    cases
}

/// Bodies where none is expected: they belong to their request, and are no requests of their own.
fn of_other_methods() -> Vec<Case> {
    let mut cases = Vec::new();
    let length = SMUGGLED.len();
    let chunk = format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
    for method in ["GET", "DELETE", "OPTIONS", "PUT", "PROPFIND", "get"] {
        let request = head(&format!("{method} /v1/x HTTP/1.1"));
        for (framing, body) in [
            (format!("Content-Length: {length}"), SMUGGLED),
            ("Transfer-Encoding: chunked".to_owned(), chunk.as_str()),
        ] {
            cases.push(Case::new(
                format!("{method} with a body, {framing}"),
                format!("{request}{framing}\r\n\r\n{body}"),
                Expected::Arrives(Arrival {
                    body: SMUGGLED,
                    ..Arrival::new(Service::Api, "/v1/x")
                }),
            ));
        }
    }
    cases
}

#[test]
fn chunks_that_are_none_break_off() -> Result<()> {
    run(async { Target::start().await?.check(&cases()).await })
}

#[test]
fn a_body_belongs_to_its_request_whatever_the_method() -> Result<()> {
    run(async { Target::start().await?.check(&of_other_methods()).await })
}

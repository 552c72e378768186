//! How long a body is, said twice, said oddly, or not said.

use anyhow::Result;
use spillway_tests::{
    run,
    standin::BodyFraming::{self, Chunked, Length},
};

use crate::{
    Arrival, Case,
    Expected::{self, OneLengthOnly, RefusedByHost},
    SMUGGLED, Target, post,
};

const HI: &str = "2\r\nhi\r\n0\r\n\r\n";

fn cases() -> Vec<Case> {
    let with = Expected::arrives_with;
    let only = |body| OneLengthOnly(Arrival::with(body, Chunked));
    let (length, chunked) = ("Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n");
    let mut cases = vec![
        Case::new(
            "a length, then chunked",
            post(&format!("{length}{chunked}"), HI),
            only("hi"),
        ),
        Case::new(
            "chunked, then a length",
            post(&format!("{chunked}{length}"), HI),
            only("hi"),
        ),
        // The same length twice is one (RFC 9112, 6.3), and goes on as one.
        Case::new(
            "two equal lengths",
            post(&format!("{length}{length}"), "hi"),
            with("hi", Length(2)),
        ),
        Case::new(
            "a length with leading zeros",
            post("Content-Length: 0002\r\n", "hi"),
            with("hi", Length(2)),
        ),
        Case::new(
            "a length with an underscore is none, and does not go on",
            post("Content_Length: 5\r\n", ""),
            with("", BodyFraming::None),
        ),
        Case::new(
            "a coding with an underscore is none, and does not go on",
            post(&format!("{length}Transfer_Encoding: chunked\r\n"), "hi"),
            with("hi", Length(2)),
        ),
        Case::new(
            "chunked in capital letters",
            post("TRANSFER-ENCODING: Chunked\r\n", HI),
            with("hi", Chunked),
        ),
        Case::new(
            "a transfer coding offered by TE is none",
            post(&format!("TE: chunked, identity\r\n{length}"), "hi"),
            with("hi", Length(2)),
        ),
    ];
    for value in [
        "+2",
        "-2",
        "0x2",
        "2 2",
        "2,2",
        "2, 3",
        "2;q=1",
        "2.0",
        "\"2\"",
        "two",
        "",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        cases.push(Case::new(
            format!("a length of {value:?}"),
            post(&format!("Content-Length: {value}\r\n"), "hi"),
            RefusedByHost(400),
        ));
    }
    cases.push(Case::new(
        "two lengths",
        post("Content-Length: 2\r\nContent-Length: 3\r\n", "hi"),
        RefusedByHost(400),
    ));
    for value in [
        "chunked, identity",
        "identity",
        "xchunked",
        "chunked;q=1",
        "\"chunked\"",
        "gzip",
        "",
    ] {
        cases.push(Case::new(
            format!("the transfer coding {value:?}"),
            post(&format!("Transfer-Encoding: {value}\r\n"), HI),
            RefusedByHost(400),
        ));
    }
    cases.push(Case::new(
        "two transfer codings on two lines, chunked not the last",
        post(
            &format!("{chunked}Transfer-Encoding: identity\r\n{length}"),
            HI,
        ),
        RefusedByHost(400),
    ));
    // What follows the end that one of the two readings gives is a request to the other reading.
    let outside = format!("0\r\n\r\n{SMUGGLED}");
    let within = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    for (name, length, rest, body) in [
        (
            "a request in the length and not in the chunks",
            outside.len(),
            &outside,
            "",
        ),
        (
            "a request in the chunks and not in the length",
            4,
            &within,
            SMUGGLED,
        ),
    ] {
        let length = format!("Content-Length: {length}\r\n");
        for lines in [format!("{length}{chunked}"), format!("{chunked}{length}")] {
            cases.push(Case::new(name, post(&lines, rest), only(body)));
        }
    }
    cases
}

#[test]
fn what_the_length_of_a_body_is() -> Result<()> {
    run(async { Target::start().await?.check(&cases()).await })
}

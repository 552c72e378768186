//! Heads that are too large: in bytes, in lines, in the request line.

use anyhow::Result;
use spillway_tests::{
    Reason, assert_dify_error,
    client::Request,
    reason, run,
    standin::{Behaviour, Reply},
};

use crate::{
    Case,
    Expected::{self, RefusedByGateway, RefusedByHost},
    Target, get, head,
};

const KIBIBYTE: usize = 1024;

fn with_lines(lines: &str) -> String {
    format!("{}{lines}\r\n", head("GET /v1/x HTTP/1.1"))
}

/// So many header lines beside the three that every case has.
fn many(count: usize) -> String {
    with_lines(
        &(0..count)
            .map(|number| format!("X-{number}: v\r\n"))
            .collect::<String>(),
    )
}

/// One header line with a value of so many KiB.
fn long(kibibytes: usize) -> String {
    with_lines(&format!(
        "X-Long: {}\r\n",
        "a".repeat(kibibytes.saturating_mul(KIBIBYTE))
    ))
}

fn cases() -> Vec<Case> {
    let here = || Expected::arrives("/v1/x");
    let half = "a".repeat(65 * KIBIBYTE);
    let long_query =
        |kibibytes: usize| format!("/v1/x?q={}", "a".repeat(kibibytes.saturating_mul(KIBIBYTE)));
    vec![
        Case::new("60 KiB of headers", long(60), here()),
        Case::new("65 KiB of headers", long(65), RefusedByGateway(431)),
        // Forwarded, it would trap an instance (spin.md).
        Case::new("130 KiB of headers", long(130), RefusedByGateway(431)),
        Case::new(
            "130 KiB of headers on two lines",
            with_lines(&format!("X-A: {half}\r\nX-B: {half}\r\n")),
            RefusedByGateway(431),
        ),
        Case::new("600 KiB of headers", long(600), RefusedByHost(431)),
        Case::new("100 header lines", many(97), here()),
        Case::new("101 header lines", many(98), RefusedByHost(431)),
        Case::new("1,000 header lines", many(997), RefusedByHost(431)),
        Case::new(
            "a query of 60 KiB",
            get(&long_query(60)),
            Expected::arrives(&long_query(60)),
        ),
        Case::new(
            "a query of 70 KiB",
            get(&long_query(70)),
            RefusedByHost(414),
        ),
        Case::new(
            "a name of 60 KiB",
            with_lines(&format!("X-{}: a\r\n", "a".repeat(60 * KIBIBYTE))),
            here(),
        ),
        Case::new(
            "a name of 70 KiB",
            with_lines(&format!("X-{}: a\r\n", "a".repeat(70 * KIBIBYTE))),
            RefusedByHost(431),
        ),
        // Together they are what would trap an instance as headers alone.
        Case::new(
            "60 KiB of headers and a query of 60 KiB",
            long(60).replace("/v1/x", &long_query(60)),
            RefusedByGateway(431),
        ),
    ]
}

/// There is no limit for a method but the host's for the whole head.
#[test]
fn a_method_of_any_length_harms_nobody() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        for kibibytes in [1, 60, 70, 120, 128, 130, 140, 300] {
            let method = "A".repeat(kibibytes * KIBIBYTE);
            let answer = target.gateway.call(&Request::new(&method, "/v1/x")).await?;
            assert!(answer.status() < 500, "{kibibytes} KiB: {answer:?}");
            target.assert_unharmed().await?;
        }
        Ok(())
    })
}

/// What Dify's answers carry is Dify's affair, up to what the host reads.
#[test]
fn an_answer_with_a_large_head_harms_nobody() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        for kilobytes in [60, 100, 120, 140, 200, 300, 600] {
            let line = "a".repeat(kilobytes * 1000);
            let reply = Reply::new(200).header("X-Long", &line).body("hi");
            target.dify.api.next(Behaviour::Reply(reply));
            // Not GET, which is tried once more when an answer cannot be read.
            let answer = target.gateway.call(&Request::new("POST", "/api/x")).await?;
            // Above 128 KiB no component can hand it on.
            let passed_on = kilobytes < 128;
            assert_eq!(
                answer.status() == 200,
                passed_on,
                "{kilobytes} KB: {:?}",
                answer.head
            );
            assert!(passed_on || answer.status() >= 500, "{:?}", answer.head);
            target.assert_unharmed().await?;
        }
        Ok(())
    })
}

#[test]
fn an_answer_with_a_head_too_large_to_hand_on_is_a_502_in_difys_form() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        // The first the component cannot hand on, the second the host does not read.
        for kilobytes in [140, 600] {
            let reply = Reply::new(200).header("X-Long", &"a".repeat(kilobytes * 1000));
            target.dify.api.next(Behaviour::Reply(reply));
            let answer = target.gateway.call(&Request::new("POST", "/api/x")).await?;
            assert_dify_error(&answer, 502);
            reason(&answer.head, Reason::UpstreamError);
        }
        Ok(())
    })
}

#[test]
fn heads_that_are_too_large() -> Result<()> {
    run(async { Target::start().await?.check(&cases()).await })
}

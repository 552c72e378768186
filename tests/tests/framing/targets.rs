//! Request targets: whole URLs, and paths that one server could take for another's.

use anyhow::Result;
use spillway_tests::{
    run,
    standin::Service::{self, Api, PluginDaemon, Web},
};

use crate::{
    Case,
    Expected::{self, ClosedByHost, RefusedByGateway, RefusedByHost},
    Target, get, head,
};

/// Where a target goes that is no plain one, and that it goes on as it came. A path is matched as Dify reads it:
/// percent-decoded once, and with several slashes for one.
const MATCHED_AS_DIFY_READS_THEM: [(&str, Service); 18] = [
    ("//v1/x", Api),
    ("/v1//x", Api),
    ("///v1///x", Api),
    ("/%2fv1/x", Api),
    ("/v1%2Fx", Api),
    ("/v1%2f%2fx", Api),
    ("/%76%31/x", Api),
    ("/console%2Fapi/x", Api),
    ("/%65/hook", PluginDaemon),
    ("//e//hook", PluginDaemon),
    ("/%2576%2531/x", Web),
    ("/V1/x", Web),
    ("/v1/x..y/.../.hidden", Api),
    ("/v1/x?path=/../../console", Api),
    ("/v1/x?a=%2e%2e%2f", Api),
    ("/apps?/v1/x", Web),
    // Not legal, met all the same, and passed on by nginx as well.
    ("/v1/\"x\"", Api),
    ("/v1/\u{e4}", Api),
];

/// Paths of which the gateway and Dify could make two different ones.
const WITH_DOTS: [&str; 20] = [
    "/..",
    "/.",
    "/v1/..",
    "/v1/../console/api/x",
    "/v1/./x",
    "/apps/../v1/x",
    "/%2e%2e/v1/x",
    "/v1/%2e%2e/console/api/x",
    "/v1/%2E%2E/console/api/x",
    "/v1/.%2e/console/api/x",
    "/v1/%2e/x",
    "/v1%2f..%2fconsole%2fapi",
    "/v1%2f%2e%2e%2fconsole",
    "/v1/..%2fconsole",
    "/v1/..;/console/api",
    "/v1/..;a=b/console/api",
    "/v1/%252e%252e/console/api",
    "/v1/..%5cconsole",
    "/v1/%5c..%5cconsole",
    "//../v1/x",
];

fn paths() -> Vec<Case> {
    let as_read = MATCHED_AS_DIFY_READS_THEM
        .into_iter()
        .map(|(target, service)| {
            Case::new(target, get(target), Expected::arrives_at(service, target))
        });
    let with_dots = WITH_DOTS
        .into_iter()
        .map(|target| Case::new(target, get(target), RefusedByGateway(400)));
    let mut cases: Vec<Case> = as_read.chain(with_dots).collect();
    for target in ["/v1/a b", "/v1/<x>", "/v1/x\u{7f}"] {
        cases.push(Case::new(
            format!("{target:?}"),
            get(target),
            RefusedByHost(400),
        ));
    }
    cases
}

fn whole_urls() -> Vec<Case> {
    let request = |line: &str| format!("{}\r\n", head(line));
    let mut cases = Vec::new();
    // What Dify gets is the path: it is asked at its own authority.
    for (target, arrives) in [
        ("http://dify/v1/x?a=b", "/v1/x?a=b"),
        ("https://dify/v1/x", "/v1/x"),
        ("HTTP://DIFY/v1/x", "/v1/x"),
    ] {
        cases.push(Case::new(target, get(target), Expected::arrives(arrives)));
    }
    cases.push(Case::new(
        "a whole URL without a path",
        get("http://dify"),
        Expected::arrives_at(Web, "/"),
    ));
    for target in [
        "http://other/v1/x",
        "http://dify:81/v1/x",
        "http://dify.other/v1/x",
        "http://dify@other/v1/x",
        "http://other@dify/v1/x",
    ] {
        cases.push(Case::new(target, get(target), ClosedByHost));
    }
    cases.push(Case::new(
        "a whole URL with dots",
        get("http://dify/v1/../console/api/x"),
        RefusedByGateway(400),
    ));
    for line in ["CONNECT dify:80 HTTP/1.1", "CONNECT dify HTTP/1.1"] {
        cases.push(Case::new(line, request(line), ClosedByHost));
    }
    cases.push(Case::new(
        "the asterisk",
        request("OPTIONS * HTTP/1.1"),
        RefusedByGateway(404),
    ));
    cases.push(Case::new(
        "TRACE",
        request("TRACE /v1/x HTTP/1.1"),
        RefusedByGateway(405),
    ));
    cases
}

#[test]
fn paths_reach_what_dify_takes_them_for() -> Result<()> {
    run(async { Target::start().await?.check(&paths()).await })
}

#[test]
fn whole_urls_and_targets_that_are_no_paths() -> Result<()> {
    run(async { Target::start().await?.check(&whole_urls()).await })
}

/// `CONNECT` asks for a tunnel, whatever target is written beside it. Sent on, it would go out as a `CONNECT` to the
/// service's own authority, and an answer to it has no end but the connection's.
#[test]
fn connect_with_a_path_is_not_sent_on() -> Result<()> {
    run(async {
        let lines = [
            "CONNECT /v1/x HTTP/1.1",
            "CONNECT http://dify/v1/x HTTP/1.1",
        ];
        let case = |line: &str| {
            let request = format!("{}\r\n", head(line));
            Case::new(line, request, RefusedByGateway(405))
        };
        Target::start().await?.check(&lines.map(case)).await
    })
}

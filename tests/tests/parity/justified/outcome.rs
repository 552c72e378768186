//! Who answers, how often Dify is asked, and with which status a request ends.

use super::Justified;
use crate::Difference;

/// What follows from one of the two not asking Dify.
pub(super) const OUTCOME: &[&str] = &["answer: by", "answer: status", "arrived: at"];
const PAGE: &str = "the gateway: a page";
pub(super) const DIFY_ERROR: &str = "the gateway: Dify's error";
const NOTHING: &str = "the gateway: nothing";

/// Whether nginx answers so itself what by the gateway Dify answers.
fn by_nginx(it: &Difference, status: &str) -> bool {
    match it.place.as_str() {
        "answer: by" => it.is(&[PAGE], &["Dify"]),
        "answer: status" => it.is(&[status], &["200"]),
        _ => it.nginx.is_empty() && it.gateway.len() == 1,
    }
}

/// Whether the gateway answers so itself what by nginx Dify answers.
pub(super) fn by_gateway(it: &Difference, status: &str, form: &str) -> bool {
    match it.place.as_str() {
        "answer: by" => it.is(&["Dify"], &[form]),
        "answer: status" => it.is(&["200"], &[status]),
        _ => it.nginx.len() == 1 && it.gateway.is_empty(),
    }
}

/// In the order in which they are asked.
pub(super) const JUSTIFIED: &[Justified] = &[
    Justified {
        places: &["arrived: at"],
        fits: |it| {
            let twice = match it.nginx.as_slice() {
                [service] => it.gateway == [service.as_str(), service.as_str()],
                _ => false,
            };
            it.case.starts_with("no answer: GET ") && twice
        },
        why: "A connection that breaks before an answer is tried once more where that does no harm (issue 4, 4): \
              Dify's server closes idle ones.",
    },
    Justified {
        places: OUTCOME,
        fits: |it| it.is_of(&["prefix: /e", "prefix: /socket.io"]) && by_nginx(it, "301"),
        why: "nginx redirects the bare name of a location that ends in a slash. No plugin endpoint and no Socket.IO \
              client is there: it is a page's name like any other, which the front end does not know.",
    },
    Justified {
        places: OUTCOME,
        fits: |it| {
            let dots = [
                "target: /v1/../x",
                "target: /v1/./info",
                "target: /v1/%2e%2e/x",
            ];
            it.is_of(&dots) && by_gateway(it, "400", DIFY_ERROR)
        },
        why: "nginx resolves dot segments to choose a service and sends them on unresolved; the service may go by \
              another path. The gateway refuses them.",
    },
    Justified {
        places: OUTCOME,
        fits: |it| it.is_of(&["target: /v1/a%00b", "target: /v1/%zz"]) && by_nginx(it, "400"),
        why: "nginx refuses what it cannot decode; the gateway leaves it to Dify, which answers it.",
    },
    Justified {
        places: OUTCOME,
        fits: |it| it.is_of(&["target: a query of 16 KiB"]) && by_nginx(it, "414"),
        why: "nginx takes 8 KiB a line, the gateway 64 KiB in all.",
    },
    Justified {
        places: OUTCOME,
        fits: |it| {
            let large = ["header: a cookie of 20 KiB", "header: a cookie of 60 KiB"];
            it.is_of(&large) && by_nginx(it, "400")
        },
        why: "nginx takes 8 KiB a header line, the gateway 64 KiB of headers in all.",
    },
    Justified {
        places: &["answer: status"],
        fits: |it| it.is_of(&["header: a cookie of 70 KiB"]) && it.is(&["400"], &["431"]),
        why: "Too large for either. 431 is the status for it (issue 4, 3).",
    },
    Justified {
        places: &["answer: by", "answer: status"],
        fits: |it| it.is_of(&["answer: 40 KiB of headers"]) && by_nginx(it, "502"),
        why: "nginx has 4 KiB for the head of an answer and gives 502 beyond.",
    },
    Justified {
        places: OUTCOME,
        fits: |it| it.is_of(&["target: /v1/x?json={\"a\":1}"]) && by_gateway(it, "400", NOTHING),
        why: "Spin answers before a component is asked: a bare quotation mark is no part of a URL. Browsers encode it.",
    },
    Justified {
        places: OUTCOME,
        fits: |it| it.is_of(&["header: a value in Latin 1"]) && by_gateway(it, "500", NOTHING),
        why: "Spin answers before a component is asked: a header value must be UTF-8.",
    },
    Justified {
        places: OUTCOME,
        fits: |it| it.is_of(&["header: 120 of them"]) && by_gateway(it, "431", NOTHING),
        why: "Spin answers before a component is asked: it takes 100 header lines.",
    },
    Justified {
        places: &["answer: status"],
        fits: |it| it.is_of(&["target: asterisk"]) && it.is(&["400"], &["404"]),
        why: "Neither knows the asterisk; to the gateway it is a path below which nothing is published.",
    },
    Justified {
        places: &["answer: by", "answer: none", "answer: status"],
        fits: |it| {
            let told = match it.place.as_str() {
                "answer: none" => it.gateway.is_empty(),
                "answer: status" => it.is(&[], &["502"]),
                _ => it.is(&["nobody"], &[DIFY_ERROR]) || it.is(&["nobody"], &[PAGE]),
            };
            it.case.ends_with(", no HTTP") && told
        },
        why: "nginx takes bytes without a status line for an answer of HTTP/0.9 and hands them on; the gateway answers \
              502.",
    },
    Justified {
        places: &["answer: by"],
        fits: |it| it.is(&[PAGE], &[DIFY_ERROR]),
        why: "Where both answer themselves, nginx's is a page. The gateway speaks Dify's form to Dify's clients, and \
              gives a page only to browsers.",
    },
];

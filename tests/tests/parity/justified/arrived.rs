//! What Dify sees.

use super::Justified;
use crate::Difference;

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    }
}

/// In the order in which they are asked.
pub(super) const JUSTIFIED: &[Justified] = &[
    Justified {
        places: &["arrived: header host"],
        fits: |it| {
            let name = split_port(&it.host)
                .0
                .trim_end_matches('.')
                .to_ascii_lowercase();
            let own = matches!(it.gateway.as_slice(), [host] if host.starts_with("127.0.0.1:"));
            it.nginx == [name] && own
        },
        why: "A Spin component cannot set Host: a service sees its own authority, and the client's in X-Forwarded-Host.",
    },
    Justified {
        places: &["arrived: header x-forwarded-host"],
        fits: |it| {
            let claimed = it.nginx.is_empty() || it.nginx == ["public.example.com"];
            claimed && it.gateway == [it.host.as_str()]
        },
        why: "It carries what Host no longer can; Dify's nginx sets none and lets a client's own pass.",
    },
    Justified {
        places: &["arrived: header x-forwarded-port"],
        fits: |it| it.is(&["{port}"], &[split_port(&it.host).1.unwrap_or("80")]),
        why: "nginx tells the port that it listens on, the gateway the one that the client asked for: the same where \
              no port is mapped, and the public one where one is.",
    },
    Justified {
        places: &["arrived: header x-real-ip"],
        fits: |it| it.gateway == ["127.0.0.1"],
        why: "The gateway says who asked; Dify's nginx sets none and lets a client's own pass.",
    },
    Justified {
        places: &["arrived: header x-forwarded-for"],
        fits: |it| it.is(&["203.0.113.7, 198.51.100.1, 127.0.0.1"], &["127.0.0.1"]),
        why: "nginx appends to whatever a client wrote; the gateway believes only trusted proxies.",
    },
    Justified {
        places: &[
            "arrived: header cf-connecting-ip",
            "arrived: header forwarded",
            "arrived: header true-client-ip",
            "arrived: header x-client-ip",
            "arrived: header x-forwarded-prefix",
            "arrived: header x-forwarded-server",
            "arrived: header x-original-url",
            "arrived: header x-rewrite-url",
        ],
        fits: Difference::only_by_nginx,
        why: "A client could pass for another one, or for another path: Dify believes CF-Connecting-IP.",
    },
    Justified {
        places: &[
            "arrived: header spin-client-addr",
            "arrived: header x-gateway-provider",
            "arrived: header x-gateway-reason",
        ],
        fits: Difference::only_by_nginx,
        why: "Names of Spin's and of the gateway's own, which no client may use.",
    },
    Justified {
        places: &["arrived: header connection"],
        fits: |it| it.is(&["close"], &[]) || it.is(&["upgrade"], &[]),
        why: "nginx opens a connection for every request (Dify's template keeps none), the gateway keeps them. To \
              Socket.IO nginx says `upgrade` even with a polling request.",
    },
    Justified {
        places: &[
            "arrived: header http2-settings",
            "arrived: header proxy-authorization",
            "arrived: header proxy-connection",
            "answer: header proxy-authenticate",
            "answer: header upgrade",
        ],
        fits: Difference::only_by_nginx,
        why: "Fields of one hop, which nginx does not know as such and Spin does not let a component send.",
    },
    Justified {
        places: &["arrived: trailers"],
        fits: |it| it.nginx == ["[]"] && it.case == "body: chunked, with a trailer",
        why: "nginx loses trailers of requests; the gateway keeps them.",
    },
    Justified {
        places: &["arrived: header x!~", "arrived: header x.dot"],
        fits: |it| it.nginx.is_empty() && it.gateway.len() == 1,
        why: "nginx drops names with anything but letters, digits and hyphens. The gateway drops only those with an \
              underscore, which to a WSGI server are another spelling of a hyphen.",
    },
    Justified {
        places: &[
            "arrived: header x-request-id",
            "answer: header x-request-id",
        ],
        fits: |it| it.nginx.is_empty() && it.gateway.len() == 1,
        why: "Made or kept by the gateway (issue 4, 7).",
    },
    Justified {
        places: &["arrived: framing"],
        fits: |it| {
            let [nginx] = it.nginx.as_slice() else {
                return false;
            };
            it.case.starts_with("body: ")
                && nginx.starts_with("Length(")
                && it.gateway == ["Chunked"]
        },
        why: "nginx keeps a whole body back before it asks Dify, and so knows its length. The gateway lets it through \
              as it comes, in the framing that it has.",
    },
];

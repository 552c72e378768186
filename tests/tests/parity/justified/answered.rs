//! What the client gets of an answer of Dify's.

use super::Justified;

/// Streams that Dify does not end.
const BROKEN_STREAMS: [&str; 2] = ["stream: closed early", "stream: reset"];
/// In the order in which they are asked.
pub(super) const JUSTIFIED: &[Justified] = &[
    Justified {
        places: &["answer: header server"],
        fits: |it| {
            let is_nginx = matches!(it.nginx.as_slice(), [name] if name.starts_with("nginx/"));
            is_nginx && (it.gateway.is_empty() || it.gateway == ["gunicorn"])
        },
        why: "nginx puts its own name over Dify's; the gateway does not name itself.",
    },
    Justified {
        places: &["answer: header date"],
        fits: |it| {
            let interim = it.is_of(&["answer: early hints", "answer: to go on"]);
            (it.nginx.len() == 1 || interim) && it.gateway.len() == 1
        },
        why: "nginx puts its own time over Dify's. The gateway gives one only where there is none, and the second \
              answer comes later. Interim answers this nginx takes for final ones, and what follows for their body.",
    },
    Justified {
        places: &["answer: header connection"],
        fits: |it| {
            it.is(&["keep-alive"], &[]) || it.case.ends_with("HTTP/1.0") && it.is(&["close"], &[])
        },
        why: "nginx says what is so without a word: HTTP/1.1 keeps a connection, HTTP/1.0 closes it.",
    },
    Justified {
        places: &["answer: header x-accel-buffering"],
        fits: |it| it.nginx.is_empty() && it.gateway == ["no"],
        why: "Says on event streams that outer proxies must not hold them back (issue 4, 7). nginx takes Dify's own \
              for itself.",
    },
    Justified {
        places: &["answer: header cache-control"],
        fits: |it| it.case.starts_with("stream: ") && it.is(&[], &["no-cache"]),
        why: "Says on event streams that nobody may keep them (issue 4, 7).",
    },
    Justified {
        places: &["answer: header x-accel-expires"],
        fits: |it| it.is(&[], &["0"]),
        why: "A word to an nginx, which takes it; the gateway is none, and one before it may want it.",
    },
    Justified {
        places: &["answer: header location"],
        fits: |it| {
            let to_the_client = ["http://Dify.Example.COM:8443/v1/"];
            it.is(&["http://dify.example.com/v1/"], &to_the_client)
        },
        why: "nginx tells Dify the host without its port, so that the redirect loses it.",
    },
    Justified {
        places: &["answer: header location"],
        fits: |it| {
            let own = "http://dify.example.com:{port}/x?a=b";
            it.is(&[own], &["http://dify.example.com/x?a=b"])
        },
        why: "nginx puts the port it listens on into a redirect that it rewrites, the gateway what the client asked for.",
    },
    Justified {
        places: &["answer: body", "answer: end"],
        fits: |it| {
            let [nginx, gateway] = [&it.nginx, &it.gateway].map(|values| values.concat());
            let added = gateway
                .strip_prefix(nginx.as_str())
                .unwrap_or_default()
                .trim_start();
            let is_error = added.starts_with("data: {") && added.contains("\"event\":\"error\"");
            let told = is_error && added.ends_with("}\n\n");
            it.is_of(&BROKEN_STREAMS) && (told || it.is(&["broken off"], &["clean"]))
        },
        why: "Dify's stream broke off. nginx breaks off as well; the gateway says so in Dify's own event.",
    },
    Justified {
        places: &["answer: trailers"],
        fits: |it| it.nginx == ["[]"] && it.case.starts_with("answer: with a trailer"),
        why: "This nginx (before 1.27.2) loses trailers; the gateway keeps them for clients that take them.",
    },
];

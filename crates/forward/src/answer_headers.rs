//! What an upstream's answer must say differently because a gateway stands before it.

use spillway_platform::{Headers, Upstream};

use crate::hygiene::split_port;
use crate::{ForwardedHeaders, is_below};

/// Mends the places that an upstream names in its answer.
///
/// The upstream knows itself by its own address alone, as nobody can tell it another one (a component cannot set
/// `Host`), and knows nothing of a base path that was cut off. `Location` and `Content-Location` that name its own
/// address name the gateway's instead, and get the base path back, as does the `Path` of its cookies; with `stripped`
/// only. A relative reference and another host's are left alone.
pub fn rewrite_places(
    headers: &mut Headers,
    upstream: &Upstream,
    asked: &ForwardedHeaders,
    stripped: Option<&str>,
) {
    let base = stripped.unwrap_or_default();
    headers.edit(|name, value| match name {
        "location" | "content-location" => rewritten_place(value, upstream, asked, base),
        "set-cookie" if !base.is_empty() => rewritten_cookie(value, base),
        _ => None,
    });
}

/// Says to whatever proxies stand before the gateway that an event stream must not be held back.
pub fn keep_events_moving(headers: &mut Headers) {
    if !is_event_stream(headers) {
        return;
    }
    if !headers.contains("x-accel-buffering") {
        headers.append("x-accel-buffering", "no");
    }
    if !headers.contains("cache-control") {
        headers.append("cache-control", "no-cache");
    }
}

/// Whether an answer is an event stream.
fn is_event_stream(headers: &Headers) -> bool {
    media_type(headers) == "text/event-stream"
}

/// The media type in lower case, without parameters; empty where there is none.
pub fn media_type(headers: &Headers) -> String {
    media_type_of(headers.first("content-type").unwrap_or_default())
}

/// As [`media_type`], of one field's value.
pub(crate) fn media_type_of(value: &[u8]) -> String {
    let value = std::str::from_utf8(value).unwrap_or_default();
    let media_type = value.split_once(';').map_or(value, |(first, _)| first);
    media_type.trim().to_ascii_lowercase()
}

fn rewritten_place(
    value: &[u8],
    upstream: &Upstream,
    asked: &ForwardedHeaders,
    base: &str,
) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?;
    match text.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end)?;
            if !is_own(authority, upstream, asked) || asked.host.is_empty() {
                return None;
            }
            // Where both have one name, it may have meant the gateway, by Dify's variables.
            let is_public = authority.eq_ignore_ascii_case(&asked.host) && is_below(path, base);
            let base = if is_public { "" } else { base };
            Some(format!("{}://{}{base}{path}", asked.proto, asked.host).into_bytes())
        }
        // Not `//host/path`, which names another host; nor what has the base path already, by Dify's variables.
        _ if text.starts_with('/') && !text.starts_with("//") && !base.is_empty() => {
            let end = text.find(['?', '#']).unwrap_or(text.len());
            let has_base = text.get(..end).is_some_and(|path| is_below(path, base));
            (!has_base).then(|| format!("{base}{text}").into_bytes())
        }
        _ => None,
    }
}

/// Whether an upstream means itself by this authority. One that believes `X-Forwarded-Port` and `-Proto`, as Dify
/// does with `RESPECT_XFORWARD_HEADERS_ENABLED`, names its own host with the client's port, or with none where that is
/// the scheme's standard one.
fn is_own(authority: &str, upstream: &Upstream, asked: &ForwardedHeaders) -> bool {
    if authority.eq_ignore_ascii_case(&upstream.authority) {
        return true;
    }
    let (name, port) = split_port(authority);
    let (own_name, _) = split_port(&upstream.authority);
    name.eq_ignore_ascii_case(own_name) && port.is_none_or(|port| port == asked.port)
}

/// Puts `base` before the value of `Path`.
fn rewritten_cookie(value: &[u8], base: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?;
    let mut rewritten = false;
    let parts: Vec<String> = text
        .split(';')
        .enumerate()
        .map(|(index, part)| {
            let path = part.trim_start().split_once('=').and_then(|(name, path)| {
                let is_path = index > 0 && name.trim_end().eq_ignore_ascii_case("path");
                is_path.then_some(path.trim())
            });
            match path {
                Some(path) if path.starts_with('/') => {
                    rewritten = true;
                    let path = path.strip_suffix('/').unwrap_or(path);
                    format!(" Path={base}{path}")
                }
                _ => part.to_owned(),
            }
        })
        .collect();
    rewritten.then(|| parts.join(";").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerTrust;
    use spillway_platform::RequestHead;

    fn asked(authority: &str) -> ForwardedHeaders {
        ForwardedHeaders::of(
            &RequestHead {
                method: http::Method::GET,
                scheme: "https".to_owned(),
                authority: authority.to_owned(),
                path_and_query: "/".to_owned(),
                headers: Headers::default(),
                peer: None,
            },
            &PeerTrust::default(),
        )
    }

    fn rewritten(name: &str, value: &str, stripped: Option<&str>) -> String {
        let asked = asked("dify.example.com:8443");
        let upstream = Upstream::parse("http://api:5001").unwrap();
        let mut headers = Headers::default();
        headers.append(name, value);
        rewrite_places(&mut headers, &upstream, &asked, stripped);
        headers.text(name).unwrap().to_owned()
    }

    #[test]
    fn a_place_of_the_upstreams_own_becomes_the_gateways() {
        for (value, plain, stripped) in [
            ("/x?a=/b", "/x?a=/b", "/base/x?a=/b"),
            (
                "http://api:5001/x",
                "https://dify.example.com:8443/x",
                "https://dify.example.com:8443/base/x",
            ),
            (
                "http://API:5001?q",
                "https://dify.example.com:8443?q",
                "https://dify.example.com:8443/base?q",
            ),
            (
                "http://api:5002/x",
                "http://api:5002/x",
                "http://api:5002/x",
            ),
            // Of a Dify that believes the forwarded port and scheme.
            (
                "https://api:8443/x",
                "https://dify.example.com:8443/x",
                "https://dify.example.com:8443/base/x",
            ),
            (
                "https://api/x",
                "https://dify.example.com:8443/x",
                "https://dify.example.com:8443/base/x",
            ),
            (
                "https://api.example/x",
                "https://api.example/x",
                "https://api.example/x",
            ),
            (
                "https://idp.example/x",
                "https://idp.example/x",
                "https://idp.example/x",
            ),
            ("//other/x", "//other/x", "//other/x"),
            ("x/y", "x/y", "x/y"),
            ("", "", ""),
        ] {
            assert_eq!(rewritten("location", value, None), plain, "{value}");
            assert_eq!(
                rewritten("location", value, Some("/base")),
                stripped,
                "{value}"
            );
        }
    }

    #[test]
    fn of_a_service_and_a_gateway_of_one_name_the_public_place_stays() {
        let of_one_name = |value: &str| {
            let asked = asked("localhost:8080");
            let upstream = Upstream::parse("http://localhost:5001").unwrap();
            let mut headers = Headers::default();
            headers.append("location", value);
            rewrite_places(&mut headers, &upstream, &asked, Some("/base"));
            headers.text("location").unwrap().to_owned()
        };
        for (value, expected) in [
            (
                "https://localhost:8080/base/x",
                "https://localhost:8080/base/x",
            ),
            ("https://localhost:8080/x", "https://localhost:8080/base/x"),
            ("http://localhost:5001/x", "https://localhost:8080/base/x"),
            ("http://localhost:3000/x", "http://localhost:3000/x"),
        ] {
            assert_eq!(of_one_name(value), expected);
        }
    }

    #[test]
    fn a_cookies_path_gets_the_base_path_back() {
        for (value, expected) in [
            ("a=1; Path=/; HttpOnly", "a=1; Path=/base; HttpOnly"),
            ("a=1;path=/x/", "a=1; Path=/base/x"),
            ("path=/; HttpOnly", "path=/; HttpOnly"),
            ("a=1; HttpOnly", "a=1; HttpOnly"),
            (
                "a=b=c; PATH = /x; Max-Age=1",
                "a=b=c; Path=/base/x; Max-Age=1",
            ),
        ] {
            assert_eq!(rewritten("set-cookie", value, Some("/base")), expected);
            assert_eq!(rewritten("set-cookie", value, None), value);
        }
    }

    #[test]
    fn event_streams_and_only_they_are_kept_moving() {
        let keep = |fields: &[(&str, &str)]| {
            let mut headers = Headers::default();
            for (name, value) in fields {
                headers.append(name, *value);
            }
            keep_events_moving(&mut headers);
            let value = |name| headers.text(name).map(str::to_owned);
            (value("x-accel-buffering"), value("cache-control"))
        };
        let events = ("content-type", "Text/Event-Stream; charset=utf-8");
        assert_eq!(
            keep(&[events]),
            (Some("no".to_owned()), Some("no-cache".to_owned()))
        );
        assert_eq!(
            keep(&[events, ("cache-control", "no-store")]),
            (Some("no".to_owned()), Some("no-store".to_owned()))
        );
        assert_eq!(keep(&[("content-type", "application/json")]), (None, None));
    }
}

//! The headers by which Spin tells a component where a request came in. A client's own copies of them
//! stay and come first; the host's is the last value of its name.

use std::net::SocketAddr;

use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Uri, request};

const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");

/// Names below it are components of the same application.
pub const SERVICE_CHAINING_SUFFIX: &str = ".spin.internal";

/// A request that no component gets.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The connection is closed without an answer.
    #[error("{0}")]
    CloseConnection(&'static str),
    /// An empty 500.
    #[error("header `{0}` is not UTF-8")]
    NotUtf8(HeaderName),
}

/// The values that are the same for all requests of a route.
#[derive(Debug, Clone)]
pub struct RouteHeaders {
    matched: HeaderValue,
    raw: HeaderValue,
    component: HeaderValue,
}

impl RouteHeaders {
    /// Takes the route as an absolute path, as written, and without its wildcard.
    ///
    /// # Errors
    /// When a text is no header value.
    pub fn new(
        matched: &str,
        raw: &str,
        component: &str,
    ) -> Result<Self, http::header::InvalidHeaderValue> {
        Ok(Self {
            matched: HeaderValue::from_str(matched)?,
            raw: HeaderValue::from_str(raw)?,
            component: HeaderValue::from_str(component)?,
        })
    }

    /// Those of a request from another component.
    pub fn chained() -> Self {
        Self {
            matched: HeaderValue::from_static("/..."),
            raw: HeaderValue::from_static("/..."),
            component: HeaderValue::from_static(""),
        }
    }
}

/// Takes away what concerns only the connection, and the name of a chained component.
pub fn strip_connection_headers(headers: &mut HeaderMap) {
    let chained = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .is_some_and(|host| chained_component(host).is_some());
    if chained {
        headers.remove(HOST);
    }
    headers.remove(CONNECTION);
}

/// The component that a host such as `console.spin.internal` or `console.spin.internal:80` names.
pub fn chained_component(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let component = name.strip_suffix(SERVICE_CHAINING_SUFFIX)?;
    (!component.is_empty() && !component.contains('.')).then_some(component)
}

/// Gives the request its full address: scheme, and the authority that the request line and the `Host`
/// header agree on.
///
/// # Errors
/// When they name no host, or two.
pub fn complete_uri(parts: &mut request::Parts, scheme: Scheme) -> Result<(), Refusal> {
    let stated = match parts.headers.get(HOST) {
        None => None,
        Some(host) => Some(
            host.to_str()
                .ok()
                .and_then(|host| host.parse::<Authority>().ok())
                .ok_or(Refusal::CloseConnection("the `Host` header is no host"))?,
        ),
    };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.authority = match (stated, uri.authority.take()) {
        (None, None) => return Err(Refusal::CloseConnection("no `Host` header")),
        (Some(stated), Some(requested)) if stated != requested => {
            return Err(Refusal::CloseConnection(
                "the `Host` header and the request line name different hosts",
            ));
        }
        (stated, requested) => requested.or(stated),
    };
    uri.scheme = Some(scheme);
    parts.uri = Uri::from_parts(uri)
        .map_err(|_| Refusal::CloseConnection("the request line names no path"))?;
    Ok(())
}

/// Appends the `spin-*` headers.
///
/// # Errors
/// When a header of the request is not UTF-8.
pub fn append(
    parts: &mut request::Parts,
    route: &RouteHeaders,
    path_info: Option<HeaderValue>,
    named: impl Iterator<Item = (HeaderName, HeaderValue)>,
    client: SocketAddr,
) -> Result<(), Refusal> {
    let foreign = parts
        .headers
        .iter()
        .find(|(_, value)| std::str::from_utf8(value.as_bytes()).is_err());
    if let Some((name, _)) = foreign {
        return Err(Refusal::NotUtf8(name.clone()));
    }
    let full_url = full_url(&parts.uri, parts.headers.get(HOST));
    let headers = &mut parts.headers;
    headers.reserve(8);
    if let Some(path_info) = path_info {
        headers.append(PATH_INFO, path_info);
    }
    if let Some(full_url) = full_url {
        headers.append(FULL_URL, full_url);
    }
    headers.append(MATCHED_ROUTE, route.matched.clone());
    headers.append(BASE_PATH, HeaderValue::from_static("/"));
    headers.append(RAW_COMPONENT_ROUTE, route.raw.clone());
    headers.append(COMPONENT_ROUTE, route.component.clone());
    if let Ok(client) = HeaderValue::try_from(client.to_string()) {
        headers.append(CLIENT_ADDR, client);
    }
    for (name, value) in named {
        headers.append(name, value);
    }
    Ok(())
}

/// The header of a route's `:name`.
pub fn named_header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = format!(
        "spin-path-match-{}",
        name.to_ascii_lowercase().replace('_', "-")
    );
    Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?))
}

fn full_url(uri: &Uri, host: Option<&HeaderValue>) -> Option<HeaderValue> {
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = host.map_or("localhost", |host| {
        std::str::from_utf8(host.as_bytes()).unwrap_or("localhost")
    });
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    HeaderValue::try_from(format!("{scheme}://{host}{path}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> request::Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_hosts_values_come_after_the_clients() {
        let mut parts = parts(
            "/llm/v1?x=1",
            &[("host", "a:81"), ("spin-client-addr", "fake")],
        );
        complete_uri(&mut parts, Scheme::HTTPS).unwrap();
        assert_eq!(parts.uri, "https://a:81/llm/v1?x=1");
        let route = RouteHeaders::new("/llm/...", "/llm/...", "/llm").unwrap();
        let named = named_header("App_Id", "7").into_iter();
        let client = "127.0.0.1:9".parse().unwrap();
        let path_info = Some(HeaderValue::from_static("/v1"));
        append(&mut parts, &route, path_info, named, client).unwrap();
        let all = |name: &str| -> Vec<_> { parts.headers.get_all(name).iter().collect() };
        assert_eq!(all("spin-client-addr"), ["fake", "127.0.0.1:9"]);
        assert_eq!(all("spin-full-url"), ["https://a:81/llm/v1?x=1"]);
        assert_eq!(all("spin-path-info"), ["/v1"]);
        assert_eq!(all("spin-matched-route"), ["/llm/..."]);
        assert_eq!(all("spin-base-path"), ["/"]);
        assert_eq!(all("spin-raw-component-route"), ["/llm/..."]);
        assert_eq!(all("spin-component-route"), ["/llm"]);
        assert_eq!(all("spin-path-match-app-id"), ["7"]);
    }

    #[test]
    fn a_request_without_one_clear_host_is_refused() {
        for (uri, headers) in [
            ("/", &[][..]),
            ("/", &[("host", "a b")]),
            ("http://a/", &[("host", "b")]),
        ] {
            let refused = complete_uri(&mut parts(uri, headers), Scheme::HTTP);
            assert!(matches!(refused, Err(Refusal::CloseConnection(_))), "{uri}");
        }
        let mut absolute = parts("http://a/x", &[("host", "a")]);
        complete_uri(&mut absolute, Scheme::HTTP).unwrap();
        assert_eq!(absolute.uri, "http://a/x");
    }

    #[test]
    fn a_value_that_is_not_utf8_is_refused() {
        let mut parts = parts("/", &[]);
        parts
            .headers
            .insert("x-latin", HeaderValue::from_bytes(b"\xfc").unwrap());
        let client = "127.0.0.1:9".parse().unwrap();
        let refused = append(
            &mut parts,
            &RouteHeaders::chained(),
            None,
            std::iter::empty(),
            client,
        );
        assert!(matches!(refused, Err(Refusal::NotUtf8(name)) if name == "x-latin"));
    }

    #[test]
    fn names_of_components_are_recognised() {
        assert_eq!(chained_component("console.spin.internal"), Some("console"));
        assert_eq!(chained_component("a-b.spin.internal:80"), Some("a-b"));
        assert_eq!(chained_component("a.b.spin.internal"), None);
        assert_eq!(chained_component("spin.internal"), None);
        assert_eq!(chained_component("example.com"), None);
        let mut headers = parts("/", &[("host", "a.spin.internal"), ("connection", "x")]).headers;
        strip_connection_headers(&mut headers);
        assert!(headers.is_empty());
    }
}

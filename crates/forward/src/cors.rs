//! Which web pages of other origins may call: the CORS protocol of the Fetch standard, on the server's side.

use http::Method;
use spillway_platform::{Headers, RequestHead};

/// An API's CORS rules, ready to be asked.
#[derive(Debug)]
pub struct Cors {
    origins: Vec<Origin>,
    methods: String,
    headers: String,
    exposed: String,
    allows_credentials: bool,
    max_age: String,
}

#[derive(Debug)]
enum Origin {
    Any,
    Exact(String),
    /// `https://` and `.example.com`.
    Below {
        scheme: String,
        suffix: String,
    },
}

impl Cors {
    /// Prepares the rules.
    pub fn new(config: &spillway_config::CorsConfig) -> Self {
        let origins = config
            .allow_origins
            .iter()
            .map(|origin| Origin::new(origin));
        Self {
            origins: origins.collect(),
            methods: config.allow_methods.join(", "),
            headers: config.allow_headers.join(", "),
            exposed: config.expose_headers.join(", "),
            allows_credentials: config.allow_credentials,
            max_age: config.max_age.duration().as_secs().to_string(),
        }
    }

    /// The header fields of the answer to a preflight request; `None` where it is none.
    pub fn preflight(&self, request: &RequestHead) -> Option<Headers> {
        let is_preflight = request.method == Method::OPTIONS
            && request.headers.contains("origin")
            && request.headers.contains("access-control-request-method");
        if !is_preflight {
            return None;
        }
        let mut headers = Headers::default();
        self.apply(request, &mut headers);
        if headers.contains("access-control-allow-origin") {
            headers.append("access-control-allow-methods", self.methods.as_str());
            let asked = request.headers.text("access-control-request-headers");
            let allowed = match (self.headers.as_str(), asked) {
                ("", Some(asked)) => asked,
                (allowed, _) => allowed,
            };
            if !allowed.is_empty() {
                headers.append("access-control-allow-headers", allowed);
            }
            headers.append("access-control-max-age", self.max_age.as_str());
        }
        headers.append(
            "vary",
            "access-control-request-method, access-control-request-headers",
        );
        Some(headers)
    }

    /// Puts these rules in the place of what an answer says.
    pub fn apply(&self, request: &RequestHead, answer: &mut Headers) {
        answer.retain_names(|name| !name.starts_with("access-control-"));
        // Without it a cache could hand one origin's answer to another.
        answer.append("vary", "origin");
        let Some(origin) = request.headers.text("origin") else {
            return;
        };
        let Some(allowed) = self.origins.iter().find(|allowed| allowed.is(origin)) else {
            return;
        };
        let value = match allowed {
            Origin::Any if !self.allows_credentials => "*",
            Origin::Any | Origin::Exact(_) | Origin::Below { .. } => origin,
        };
        answer.append("access-control-allow-origin", value);
        if self.allows_credentials {
            answer.append("access-control-allow-credentials", "true");
        }
        if !self.exposed.is_empty() {
            answer.append("access-control-expose-headers", self.exposed.as_str());
        }
    }
}

impl Origin {
    fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.split_once("://*") {
            _ if text == "*" => Self::Any,
            Some((scheme, suffix)) => Self::Below {
                scheme: format!("{scheme}://"),
                suffix: suffix.to_owned(),
            },
            None => Self::Exact(text),
        }
    }

    fn is(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(known) => known.eq_ignore_ascii_case(origin),
            Self::Below { scheme, suffix } => {
                let origin = origin.to_ascii_lowercase();
                origin
                    .strip_prefix(scheme.as_str())
                    .and_then(|host| host.strip_suffix(suffix.as_str()))
                    .is_some_and(|name| {
                        let is_of_name =
                            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
                        !name.is_empty() && name.bytes().all(is_of_name)
                    })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], allow_credentials: bool) -> Cors {
        Cors::new(&spillway_config::CorsConfig {
            allow_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            allow_methods: vec!["GET".to_owned(), "POST".to_owned()],
            allow_headers: Vec::new(),
            expose_headers: vec!["x-version".to_owned()],
            allow_credentials,
            max_age: spillway_config::TimeSpan::from_secs(600),
        })
    }

    fn request(method: Method, headers: &[(&str, &str)]) -> RequestHead {
        let list = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        RequestHead {
            method,
            scheme: "https".to_owned(),
            authority: "dify.example.com".to_owned(),
            path_and_query: "/v1/x".to_owned(),
            headers: Headers::from_list(list.collect()),
            peer: None,
        }
    }

    #[test]
    fn an_origin_is_allowed_by_name_by_suffix_or_all() {
        for (origins, origin, value) in [
            (&["*"][..], "https://a.example", Some("*")),
            (
                &["https://a.example", "https://b.example:8443"],
                "https://b.example:8443",
                Some("https://b.example:8443"),
            ),
            (
                &["https://*.example.com"],
                "https://App.example.com",
                Some("https://App.example.com"),
            ),
            (&["https://*.example.com"], "https://example.com", None),
            (&["https://*.example.com"], "https://.example.com", None),
            (&["https://*.example.com"], "http://a.example.com", None),
            (&["https://a.example"], "https://a.example.evil", None),
            (&["https://a.example"], "null", None),
        ] {
            let mut answer = Headers::default();
            answer.append("access-control-allow-origin", "https://dify");
            let request = request(Method::GET, &[("origin", origin)]);
            cors(origins, false).apply(&request, &mut answer);
            assert_eq!(
                answer.text("access-control-allow-origin"),
                value,
                "{origins:?} {origin}"
            );
            assert_eq!(answer.text("vary"), Some("origin"));
        }
    }

    #[test]
    fn a_preflight_request_is_answered_and_others_are_not() {
        let asked = [
            ("origin", "https://a.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization"),
        ];
        let cors = cors(&["https://a.example"], true);
        let answer = cors.preflight(&request(Method::OPTIONS, &asked)).unwrap();
        for (name, value) in [
            ("access-control-allow-origin", "https://a.example"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, POST"),
            ("access-control-allow-headers", "authorization"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(answer.text(name), Some(value), "{name}");
        }
        let foreign = [
            ("origin", "https://b.example"),
            ("access-control-request-method", "POST"),
        ];
        let refused = cors.preflight(&request(Method::OPTIONS, &foreign)).unwrap();
        assert!(!refused.contains("access-control-allow-origin"));
        assert!(
            cors.preflight(&request(Method::OPTIONS, &asked[..1]))
                .is_none()
        );
        assert!(cors.preflight(&request(Method::POST, &asked)).is_none());
    }
}

//! The endpoints of what a provider keeps under the key that made it: files, batches, responses.
//!
//! They are a list, not whatever stands below three roots: what the gateway does not know it cannot hold against a
//! consumer's models or a route's caps. OpenAI's API reference, as of November 2026.

use http::Method;

use crate::{Operation, OperationMatch};

/// Path, `*` for an id; its methods as an `Allow` header lists them. `GET` stands for `HEAD` as well.
const ENDPOINTS: [(&str, &str); 12] = [
    ("/files", "GET, HEAD, POST"),
    ("/files/*", "GET, HEAD, DELETE"),
    ("/files/*/content", "GET, HEAD"),
    ("/batches", "GET, HEAD, POST"),
    ("/batches/*", "GET, HEAD"),
    ("/batches/*/cancel", "POST"),
    ("/responses", "POST"),
    ("/responses/input_tokens", "POST"),
    ("/responses/compact", "POST"),
    ("/responses/*", "GET, HEAD, DELETE"),
    ("/responses/*/cancel", "POST"),
    ("/responses/*/input_items", "GET, HEAD"),
];

const ROOTS: [&str; 3] = ["/files", "/batches", "/responses"];

/// Those whose body names the model that is to work.
const NAMING_MODELS: [&str; 3] = [
    "/responses",
    "/responses/input_tokens",
    "/responses/compact",
];

/// Methods that reach a provider where a route lists a path. `TRACE` has servers repeat the request, key and all, to the
/// client; of methods nobody here has heard of the same must be feared.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// What a path below the version means.
pub(crate) fn operation_of(method: &Method, path: &str) -> OperationMatch<'static> {
    let is_below = |root: &str| {
        let rest = path.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if !ROOTS.iter().any(|root| is_below(root)) {
        return OperationMatch::Unknown;
    }
    let known = ENDPOINTS.iter().find(|(endpoint, _)| fits(endpoint, path));
    match known {
        Some((_, allowed)) if is_among(method, allowed) => {
            OperationMatch::Found(Operation::Stateful, None)
        }
        known if is_among(method, METHODS) => {
            OperationMatch::Unlisted(known.map(|(_, allowed)| *allowed))
        }
        known => OperationMatch::WrongMethod(known.map_or(METHODS, |(_, allowed)| allowed)),
    }
}

/// Whether the body of such a call names a model. `path` is the one below the version.
pub fn names_model(method: &Method, path: &str) -> bool {
    *method == Method::POST && NAMING_MODELS.contains(&path.trim_end_matches('/'))
}

fn is_among(method: &Method, allowed: &str) -> bool {
    allowed.split(", ").any(|name| name == method.as_str())
}

/// An id is one segment, and no end of one: a server that decodes `%2f` would see another path.
fn fits(endpoint: &str, path: &str) -> bool {
    let mut wanted = endpoint.split('/');
    let mut found = path.split('/');
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some("*"), Some(id)) if is_id(id) => {}
            (Some(wanted), Some(found)) if wanted == found && wanted != "*" => {}
            _ => return false,
        }
    }
}

fn is_id(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    !segment.is_empty()
        && !["%2f", "%5c", "\\", "%00"]
            .iter()
            .any(|part| lower.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, path: &str) -> OperationMatch<'static> {
        operation_of(&Method::from_bytes(method.as_bytes()).unwrap(), path)
    }

    #[test]
    fn endpoints_are_a_list() {
        for (method, path) in [
            ("GET", "/files"),
            ("POST", "/files"),
            ("HEAD", "/files/f-1/content"),
            ("DELETE", "/files/f-1"),
            ("POST", "/batches/b-1/cancel"),
            ("POST", "/responses"),
            ("POST", "/responses/compact"),
            ("POST", "/responses/input_tokens"),
            ("GET", "/responses/r%20-1"),
            ("GET", "/responses/r-1/input_items"),
            ("POST", "/responses/r-1/cancel"),
        ] {
            let found = OperationMatch::Found(Operation::Stateful, None);
            assert_eq!(of(method, path), found, "{method} {path}");
        }
        for (method, path, allowed) in [
            ("TRACE", "/files", "GET, HEAD, POST"),
            ("get", "/files", "GET, HEAD, POST"),
            ("TRACE", "/files/f-1/other", METHODS),
        ] {
            assert_eq!(
                of(method, path),
                OperationMatch::WrongMethod(allowed),
                "{method} {path}"
            );
        }
        for (method, path, allowed) in [
            ("PUT", "/responses", "POST"),
            ("GET", "/responses/compact", "POST"),
            ("POST", "/files/import", "GET, HEAD, DELETE"),
        ] {
            assert_eq!(
                of(method, path),
                OperationMatch::Unlisted(Some(allowed)),
                "{method} {path}"
            );
        }
        for path in [
            "/responses/%2f",
            "/responses/%2F",
            "/responses/r-1%5Ccancel/cancel",
            "/responses//cancel",
            "/files/f-1/other",
            "/responses/r-1/compact/x",
            "/responses/*/x",
        ] {
            assert_eq!(of("POST", path), OperationMatch::Unlisted(None), "{path}");
        }
        for path in ["/filesystem", "/threads", "/file"] {
            assert_eq!(of("POST", path), OperationMatch::Unknown, "{path}");
        }
    }

    #[test]
    fn bodies_that_name_a_model_are_known() {
        assert!(names_model(&Method::POST, "/responses/compact"));
        assert!(names_model(&Method::POST, "/responses/"));
        assert!(!names_model(&Method::GET, "/responses"));
        assert!(!names_model(&Method::POST, "/responses/r-1/cancel"));
    }
}

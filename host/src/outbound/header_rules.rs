//! Which headers a component may set, and which it sees.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, ForbiddenHeaderFilter};

static FORBIDDEN: [HeaderName; 9] = DEFAULT_FORBIDDEN_HEADERS;
static FILTER: LazyLock<ForbiddenHeaderFilter> =
    LazyLock::new(|| Arc::new(|name| FORBIDDEN.contains(name)));

/// Names between which all headers of a message reach the component.
///
/// A component may not set `host`, `transfer-encoding` and their like, but on Spin it sees them in
/// requests, and tells by them whether a body follows. Under `--harsh` it sees them in answers, too. wasmtime asks one question for both, of one
/// header after the other, so the beginning and the end of a request's headers are marked by headers
/// that the answer takes out again.
struct RequestMarks {
    begin: HeaderName,
    end: HeaderName,
}

/// Not to be guessed: a client or component that knew them could set what is forbidden.
static MARKS: LazyLock<Option<RequestMarks>> = LazyLock::new(|| {
    let secret = RandomState::new();
    let mark = |name: &str| {
        let text = format!("x-{name}-{:016x}", secret.hash_one(name));
        HeaderName::try_from(text).ok()
    };
    Some(RequestMarks {
        begin: mark("begin")?,
        end: mark("end")?,
    })
});

/// Makes all headers of a request visible to the component that gets it.
pub fn reveal_all(headers: HeaderMap) -> HeaderMap {
    let Some(marks) = &*MARKS else {
        return headers;
    };
    let mut marked = HeaderMap::with_capacity(headers.len().saturating_add(2));
    marked.insert(marks.begin.clone(), HeaderValue::from_static(""));
    marked.extend(headers);
    marked.insert(marks.end.clone(), HeaderValue::from_static(""));
    marked
}

/// The rules of one instance.
#[derive(Debug, Default)]
pub(super) struct HeaderRules {
    /// Whether the headers asked about are those of a request that comes in.
    within_request: bool,
}

impl HeaderRules {
    /// Whether a header is taken from a message, or may not be set.
    pub(super) fn forbids(&mut self, name: &HeaderName) -> bool {
        if let Some(marks) = &*MARKS
            && (*name == marks.begin || *name == marks.end)
        {
            self.within_request = *name == marks.begin;
            return true;
        }
        !self.within_request && FORBIDDEN.contains(name)
    }
}

/// What may not be set, for trailers.
pub(super) fn filter() -> ForbiddenHeaderFilter {
    Arc::clone(&FILTER)
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, HOST, TRANSFER_ENCODING};

    use super::*;

    /// As wasmtime takes headers out of a message.
    fn strip(rules: &mut HeaderRules, mut headers: HeaderMap) -> Vec<String> {
        let names: Vec<HeaderName> = headers.keys().cloned().collect();
        for name in names {
            if rules.forbids(&name) {
                headers.remove(&name);
            }
        }
        let mut left: Vec<String> = headers.keys().map(ToString::to_string).collect();
        left.sort();
        left
    }

    fn headers() -> HeaderMap {
        let value = HeaderValue::from_static("x");
        [HOST, ACCEPT, TRANSFER_ENCODING]
            .map(|name| (name, value.clone()))
            .into_iter()
            .collect()
    }

    #[test]
    fn all_headers_of_a_request_are_seen_but_not_those_of_other_messages() {
        let mut rules = HeaderRules::default();
        assert_eq!(strip(&mut rules, headers()), ["accept"]);
        let request = reveal_all(headers());
        assert_eq!(
            strip(&mut rules, request),
            ["accept", "host", "transfer-encoding"]
        );
        assert_eq!(strip(&mut rules, headers()), ["accept"]);
        assert!(rules.forbids(&HOST));
    }

    #[test]
    fn several_values_keep_their_order() {
        let mut headers = headers();
        headers.append(ACCEPT, HeaderValue::from_static("y"));
        let revealed = reveal_all(headers);
        let values: Vec<_> = revealed.get_all(ACCEPT).iter().collect();
        assert_eq!(values, ["x", "y"]);
    }
}

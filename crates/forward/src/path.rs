//! Paths: as prefixes, and as the back end will understand them.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What may not stand bare in a path (RFC 3986 §3.3), and the percent sign itself.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The path that routes are matched by: decoded once (`%2F` as well) and with runs of slashes as one, as nginx
/// does it and as Dify's own server will read it. A rule on `/v1/chat-messages` would otherwise not see
/// `/v1/chat%2Dmessages`, which Dify runs all the same.
pub(crate) fn normalized(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut merged = String::with_capacity(decoded.len());
    for character in decoded.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    Cow::Owned(merged)
}

/// A normalized path as it can be sent.
pub(crate) fn encoded(path: &str) -> String {
    utf8_percent_encode(path, NOT_IN_A_PATH).to_string()
}

/// Whether `path` is `base` or below it, by whole segments: `/v1` holds `/v1` and `/v1/x`, not `/v1x`.
pub fn is_below(path: &str, base: &str) -> bool {
    let base = base.trim_end_matches('/');
    path.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `path` (with its query, if any) with `base` removed; `None` where it is not below it. Never empty.
pub fn strip_base(path: &str, base: &str) -> Option<String> {
    let base = base.trim_end_matches('/');
    let rest = path.strip_prefix(base)?;
    match rest.chars().next() {
        None => Some("/".to_owned()),
        Some('/') => Some(rest.to_owned()),
        Some('?') => Some(format!("/{rest}")),
        Some(_) => None,
    }
}

/// Whether a segment of `path` is `.` or `..`, plain or percent-encoded. A route chosen by such a path and the
/// upstream that resolves it could mean different things, so none is chosen.
pub fn has_dot_segment(path: &str) -> bool {
    path.split(['/', '\\']).any(|segment| {
        let mut rest = segment;
        let mut dots = 0_u8;
        while let Some(next) = rest
            .strip_prefix('.')
            .or_else(|| rest.strip_prefix("%2e"))
            .or_else(|| rest.strip_prefix("%2E"))
        {
            dots = dots.saturating_add(1);
            rest = next;
        }
        // What follows a `;` is a parameter of the segment to some servers.
        (dots == 1 || dots == 2) && (rest.is_empty() || rest.starts_with(';'))
    })
}

/// Whether `path` has such a segment, as it is or once it is decoded.
pub fn resolves_elsewhere(path: &str) -> bool {
    has_dot_segment(path) || has_dot_segment(&normalized(path))
}

/// Whether a path that has been decoded has such a segment once it is decoded again, and again: Dify's console writes
/// parts of its paths into those of its plugin daemon (CVE-2026-41948), which decodes them once more.
pub(crate) fn resolves_elsewhere_later(path: &str) -> bool {
    let mut path = path.to_owned();
    // So deep nobody decodes; what is left then is decoded by nobody.
    for _ in 0..4 {
        let decoded = normalized(&path).into_owned();
        if has_dot_segment(&decoded) {
            return true;
        }
        if decoded == path {
            return false;
        }
        path = decoded;
    }
    false
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_that_a_provider_would_resolve_is_told() {
        for path in [
            "/files/../x",
            "/files/%2e%2e/x",
            "/files/..%2fx",
            "/files/%2e%2e%5cx",
            "/files/./x",
            "/files/..",
        ] {
            assert!(resolves_elsewhere(path), "{path}");
        }
        for path in ["/files/f-1", "/files/a..b", "/files/...", "/files/a%20b"] {
            assert!(!resolves_elsewhere(path), "{path}");
        }
    }

    use super::*;

    #[test]
    fn a_base_holds_whole_segments_only() {
        assert!(is_below("/v1", "/v1") && is_below("/v1/x", "/v1") && is_below("/v1/", "/v1"));
        assert!(!is_below("/v1x", "/v1") && !is_below("/", "/v1"));
        assert!(is_below("/x", "/") && is_below("/", "/"));
    }

    #[test]
    fn a_path_is_matched_as_dify_will_read_it() {
        for (sent, read) in [
            ("/v1/x", "/v1/x"),
            ("//v1///x/", "/v1/x/"),
            ("/%76%31/chat%2Dmessages", "/v1/chat-messages"),
            ("/v1%2Fchat-messages", "/v1/chat-messages"),
            ("/v1%2f%2fx", "/v1/x"),
            ("/%2576", "/%76"),
            ("/%zz/%4", "/%zz/%4"),
            ("/%ff", "/\u{fffd}"),
        ] {
            assert_eq!(normalized(sent), read, "{sent}");
        }
        assert_eq!(encoded("/a b/\u{e9}%?"), "/a%20b/%C3%A9%25%3F");
    }

    #[test]
    fn dots_that_are_packed_several_times_are_seen() {
        for path in [
            "/x/%2e%2e/y",
            "/x/%252e%252e/y",
            "/x/..%255cy",
            "/x/%25252e./y",
        ] {
            assert!(resolves_elsewhere_later(path), "{path}");
        }
        for path in ["/x/y", "/x/a%2e%2eb", "/x/100%25", "/x/%zz"] {
            assert!(!resolves_elsewhere_later(path), "{path}");
        }
    }

    #[test]
    fn stripping_leaves_a_path() {
        assert_eq!(strip_base("/d", "/d").as_deref(), Some("/"));
        assert_eq!(strip_base("/d?a=1", "/d").as_deref(), Some("/?a=1"));
        assert_eq!(strip_base("/d/v1?a", "/d").as_deref(), Some("/v1?a"));
        assert_eq!(strip_base("/dx", "/d"), None);
        assert_eq!(strip_base("/x", "/").as_deref(), Some("/x"));
    }

    #[test]
    fn dot_segments_are_seen_in_every_spelling() {
        for path in [
            "/..",
            "/a/../b",
            "/./a",
            "/%2e%2E/b",
            "/.%2e",
            "/a/..;x/b",
            "/a\\..\\b",
        ] {
            assert!(has_dot_segment(path), "{path}");
        }
        for path in ["/", "/a..b", "/...", "/.well-known/x", "/a.b/c", "/..a"] {
            assert!(!has_dot_segment(path), "{path}");
        }
    }
}

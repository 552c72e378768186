//! CORS.

use super::duration;
use crate::CorsConfig;
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::error::shortened;
use crate::rate_limit::is_token;

pub(super) fn check(cors: &CorsConfig, at: &Path, findings: &mut Findings<'_>) {
    let origins = at.key("allow_origins");
    if cors.allow_origins.is_empty() {
        findings.error(
            &origins,
            "no origins, so no page may call: add one, or leave `cors` out",
        );
    }
    for (index, origin) in cors.allow_origins.iter().enumerate() {
        if let Some(advice) = mistake(origin) {
            findings.error(
                &origins.index(index),
                format!("`{}` is no origin: {advice}", shortened(origin)),
            );
        }
    }
    if cors.allow_credentials && cors.allow_origins.iter().any(|origin| origin == "*") {
        findings.error(
            &at.key("allow_credentials"),
            "any page of the world could act as the user whose cookies go along: name the origins instead of `*`",
        );
    }
    for (key, names) in [
        ("allow_methods", &cors.allow_methods),
        ("allow_headers", &cors.allow_headers),
        ("expose_headers", &cors.expose_headers),
    ] {
        for (index, name) in names.iter().enumerate() {
            if !is_token(name) {
                findings.error(
                    &at.key(key).index(index),
                    format!("`{}` is no name of one", shortened(name)),
                );
            }
        }
    }
    duration(cors.max_age, &at.key("max_age"), findings);
}

/// What is wrong with an origin: `scheme://host[:port]`, a host of which may begin with `*.`.
fn mistake(origin: &str) -> Option<&'static str> {
    if origin == "*" {
        return None;
    }
    let Some((scheme, authority)) = origin.split_once("://") else {
        return Some("begin it with `https://` or `http://`, or write `*` for all");
    };
    if !matches!(scheme, "http" | "https") {
        return Some("begin it with `https://` or `http://`");
    }
    let host = authority.strip_prefix("*.").unwrap_or(authority);
    let fits = !host.is_empty()
        && host
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter));
    (!fits).then_some("write scheme, host and port alone, such as `https://app.example.com` or `https://*.example.com`")
}

//! URLs. Templates may stand anywhere in them, so a part that a variable gives is not judged.

use url::Url;

use crate::document::node::Path;
use crate::document::report::Findings;
use crate::template;

/// Takes a template's place; it does as host, port and path.
const PLACEHOLDER: &str = "1";

/// What may follow scheme, host and port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::document) enum Rest {
    Nothing,
    Path,
}

/// A URL that requests are sent to.
pub(super) fn http(text: &str, rest: Rest, path: &Path, findings: &mut Findings<'_>) {
    if let Err(message) = http_mistake(text, rest) {
        findings.error(path, message);
    }
}

pub(in crate::document) fn http_mistake(text: &str, rest: Rest) -> Result<(), String> {
    if text.is_empty() {
        return Err(
            "an empty URL: write one such as `http://api:5001`, or leave the key out".to_owned(),
        );
    }
    let Some(url) = parse(
        text,
        &["http", "https"],
        "begin it with `http://` or `https://`",
    )?
    else {
        return Ok(());
    };
    if url.has_user {
        return Err(
            "a URL here has no user and no password: credentials belong under `api_keys`"
                .to_owned(),
        );
    }
    if url.url.query().is_some() || url.url.fragment().is_some() {
        return Err("a URL here has no query and no `#`".to_owned());
    }
    // From the text, as parsing resolves `..` quietly.
    if rest == Rest::Nothing && !matches!(url.path.as_str(), "" | "/") {
        return Err("a URL here is scheme, host and port alone: remove the path".to_owned());
    }
    if url.path.contains("//") || url.path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("a URL here has no `//`, `.` or `..` in its path".to_owned());
    }
    Ok(())
}

/// The address of a Redis, or an empty text.
pub(super) fn redis(text: &str, path: &Path, findings: &mut Findings<'_>) {
    if text.is_empty() {
        return;
    }
    if let Err(message) = redis_mistake(text) {
        findings.error(path, message);
        return;
    }
    let user = text
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'))
        .map(|(user, _)| user);
    let password = user
        .and_then(|user| user.split_once(':'))
        .map_or("", |(_, password)| password);
    if !password.is_empty() && !template::is_templated(password) {
        findings.warning(
            path,
            "a password stands in the file: write `{{ name }}` in its place and set the variable of that name",
        );
    }
}

pub(in crate::document) fn redis_mistake(text: &str) -> Result<(), String> {
    let advice = "begin it with `redis://`, or `rediss://` for TLS";
    let Some(url) = parse(text, &["redis", "rediss"], advice)? else {
        return Ok(());
    };
    let database = url.path.strip_prefix('/').unwrap_or(&url.path);
    if url.url.query().is_some()
        || url.url.fragment().is_some()
        || !database.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(
            "after host and port of a Redis comes nothing, or `/` and the number of a database"
                .to_owned(),
        );
    }
    Ok(())
}

struct Parsed {
    url: Url,
    has_user: bool,
    /// As written.
    path: String,
}

/// None if a variable gives the beginning, so that nothing can be said.
fn parse(text: &str, schemes: &[&str], advice: &str) -> Result<Option<Parsed>, String> {
    let concrete = template::with_placeholder(text, PLACEHOLDER);
    if let Some(letter) = concrete
        .chars()
        .find(|letter| !letter.is_ascii_graphic() || *letter == '\\')
    {
        return Err(format!("a URL cannot have {letter:?} in it"));
    }
    if text.starts_with("{{") {
        return Ok(None);
    }
    let Some((scheme, after)) = concrete.split_once("://") else {
        return Err(format!("this URL has no scheme: {advice}"));
    };
    if !schemes.contains(&scheme) {
        return Err(format!(
            "this URL has a scheme that does not serve here: {advice}"
        ));
    }
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, rest) = after.split_at_checked(end).unwrap_or((after, ""));
    let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, _) = rest.split_at_checked(path_end).unwrap_or((rest, ""));
    let url = Url::parse(&concrete).map_err(|error| format!("this is no URL: {error}"))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("this URL has no host".to_owned());
    }
    if url.port() == Some(0) || authority.ends_with(':') {
        return Err("this URL has a `:` without a port".to_owned());
    }
    Ok(Some(Parsed {
        url,
        has_user: authority.contains('@'),
        path: path.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_with_and_without_templates_pass() {
        for text in [
            "http://api:5001",
            "https://example.com/",
            "http://plugin_daemon:5002",
            "http://127.0.0.1:80",
            "http://[::1]:5001",
            "{{ api_url }}",
            "{{ scheme }}://{{ host }}",
            "http://{{ host }}",
            "https://{{ region }}.example.com:{{ port }}",
            "http://10.0.0.{{ last }}:5001",
        ] {
            assert_eq!(http_mistake(text, Rest::Nothing), Ok(()), "{text}");
        }
        for text in [
            "https://api.openai.com/v1",
            "http://h/{{ path }}/v1",
            "{{ url }}/v1",
            "http://h/a/b/",
        ] {
            assert_eq!(http_mistake(text, Rest::Path), Ok(()), "{text}");
        }
        for text in [
            "redis://redis",
            "redis://redis:6379/0",
            "redis://redis/",
            "rediss://user:{{ password }}@redis:6380/{{ database }}",
            "{{ redis_url }}",
            "redis://[::1]:6379",
        ] {
            assert_eq!(redis_mistake(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_shown() {
        for (text, part) in [
            ("", "empty"),
            ("api:5001", "no scheme"),
            ("//api:5001", "no scheme"),
            ("ftp://api", "scheme that does not serve"),
            ("HTTP://api", "scheme that does not serve"),
            ("http:/api", "no scheme"),
            ("http://", "no URL"),
            ("http://:80", "no URL"),
            ("http://api:", "without a port"),
            ("http://api:0", "without a port"),
            ("http://api:99999", "no URL"),
            ("http://user:secret@api", "no user"),
            ("http://api/path", "remove the path"),
            ("http://api//", "remove the path"),
            ("http://api?a", "no query"),
            ("http://api#a", "no query"),
            ("http://a b", "' '"),
            ("http://bücher", "'ü'"),
            ("http:\\\\api", "'\\\\'"),
            ("http://{{ host }}/path", "remove the path"),
        ] {
            let message = http_mistake(text, Rest::Nothing).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
        for (text, part) in [
            ("http://h/a/../b", "`..`"),
            ("http://h//a", "`//`"),
            ("http://h/a?b", "no query"),
        ] {
            assert!(
                http_mistake(text, Rest::Path).unwrap_err().contains(part),
                "{text}"
            );
        }
        for (text, part) in [
            ("redis", "no scheme"),
            ("http://redis", "does not serve"),
            ("redis://", "no host"),
            ("redis://h/x", "number of a database"),
            ("redis://h:1?x=1", "number of a database"),
        ] {
            let message = redis_mistake(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}

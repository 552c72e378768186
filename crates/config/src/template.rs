//! `{{ name }}` in a normal form: which variables it needs, and putting their values in.
//!
//! A name has lower-case letters, digits and single underscores between them, and begins with a letter, as
//! Spin's variables do. A value is taken without white space around it, as a secret out of a file ends with a line end;
//! templates inside of it stay text.

use std::collections::BTreeSet;

use crate::Error;
use crate::error::shortened;

const OPENING: &str = "{{";
const CLOSING: &str = "}}";

/// The names of the variables that the normal form `json` needs.
pub fn names(json: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in parts(json) {
        if let Ok(Part::Name(name)) = part {
            names.insert(name.to_owned());
        }
    }
    names
}

/// Replaces every `{{ name }}` inside of the normal form's texts by its value, escaped for JSON.
///
/// Fails if `lookup` does not know a name (the error has all such names), or if something else than a name
/// stands between the braces.
pub fn resolve(json: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, Error> {
    let mut resolved = String::with_capacity(json.len());
    let mut missing = BTreeSet::new();
    for part in parts(json) {
        match part? {
            Part::Literal(text) => resolved.push_str(text),
            Part::Name(name) => match lookup(name) {
                Some(value) => resolved.push_str(&escaped(value.trim())),
                None => {
                    missing.insert(name.to_owned());
                }
            },
        }
    }
    if missing.is_empty() {
        Ok(resolved)
    } else {
        Err(Error::MissingVariables {
            names: missing.into_iter().collect(),
        })
    }
}

/// Whether `text` has a template in it.
#[cfg(feature = "document")]
pub(crate) fn is_templated(text: &str) -> bool {
    text.contains(OPENING)
}

/// The first thing wrong with the templates of `text`.
#[cfg(feature = "document")]
pub(crate) fn mistake(text: &str) -> Option<Error> {
    parts(text).find_map(Result::err)
}

/// `text` with each template replaced by `placeholder`; the rest from a wrong one on is left out.
#[cfg(feature = "document")]
pub(crate) fn with_placeholder(text: &str, placeholder: &str) -> String {
    let parts = parts(text).map_while(Result::ok);
    parts
        .map(|part| match part {
            Part::Literal(text) => text,
            Part::Name(_) => placeholder,
        })
        .collect()
}

/// `text` with each template written in the one form `{{ name }}`, so that two can be compared.
#[cfg(feature = "document")]
pub(crate) fn canonical(text: &str) -> String {
    let parts = parts(text).map_while(Result::ok);
    parts
        .map(|part| match part {
            Part::Literal(text) => text.to_owned(),
            Part::Name(name) => format!("{OPENING} {name} {CLOSING}"),
        })
        .collect()
}

enum Part<'a> {
    Literal(&'a str),
    Name(&'a str),
}

fn parts(text: &str) -> Parts<'_> {
    Parts { rest: text }
}

/// The pieces of a text, in order. After a template that is never closed comes nothing.
struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(inside) = self.rest.strip_prefix(OPENING) else {
            let end = self.rest.find(OPENING).unwrap_or(self.rest.len());
            let (literal, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
            self.rest = rest;
            return Some(Ok(Part::Literal(literal)));
        };
        let Some((found, rest)) = inside.split_once(CLOSING) else {
            self.rest = "";
            return Some(Err(Error::TemplateUnclosed));
        };
        self.rest = rest;
        // Spaces alone: others are written as escapes in JSON.
        let name = found.trim_matches(' ');
        Some(if is_name(name) {
            Ok(Part::Name(name))
        } else {
            Err(Error::TemplateName {
                found: shortened(found),
            })
        })
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// `value` as it stands between the quotes of a JSON text.
fn escaped(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    let inside = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inside.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "key" => Some("sk-1".to_owned()),
            "odd" => Some("a\"b\\c\n{{ key }}".to_owned()),
            "empty" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn names_are_found_once_and_sorted() {
        let json = r#"{"a":"{{ key }}","b":["x{{odd}}y{{  key }}"],"c":"{{ Bad }}{{ last }}"}"#;
        assert_eq!(
            names(json).into_iter().collect::<Vec<_>>(),
            ["key", "last", "odd"]
        );
        assert!(names(r#"{"a":{"b":{}}}"#).is_empty());
    }

    #[test]
    fn values_are_escaped_and_not_looked_into() {
        let resolved = resolve(
            r#"{"a":"<{{ odd }}>","b":"{{empty}}","c":{"d":{}}}"#,
            lookup,
        )
        .unwrap();
        let value: serde_json::Value = serde_json::from_str(&resolved).unwrap();
        assert_eq!(value["a"], "<a\"b\\c\n{{ key }}>");
        assert_eq!(value["b"], "");
    }

    #[test]
    fn every_missing_name_is_told() {
        let error = resolve(
            r#"["{{ zeta }}","{{ key }}","{{ alpha }}","{{ zeta }}"]"#,
            lookup,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no value for `alpha`, `zeta`: set a variable of that name, or an entry of the variable `secrets`"
        );
    }

    #[test]
    fn what_is_no_name_is_an_error_that_shows_it() {
        for (json, shown) in [
            (r#"["{{ my-key }}"]"#, "`{{ my-key }}`"),
            (r#"["{{ Key }}"]"#, "`{{ Key }}`"),
            (r#"["{{}}"]"#, "`{{}}`"),
            (r#"["{{ a__b }}"]"#, "`{{ a__b }}`"),
            (r#"["{{ a_ }}"]"#, "`{{ a_ }}`"),
            (r#"["{{ 1a }}"]"#, "`{{ 1a }}`"),
            (r#"["{{ a", "b }}"]"#, "names no variable"),
            (r#"["{{ key"]"#, "without `}}`"),
        ] {
            let message = resolve(json, lookup).unwrap_err().to_string();
            assert!(message.contains(shown), "{json}: {message}");
        }
    }
}

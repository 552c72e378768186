//! The values of a configuration's `{{ name }}`: whether all are there, before anything is served by it.

use std::collections::{BTreeMap, BTreeSet};

use spillway_config::{parse_normal_form, resolved_mistakes, template};

/// The variable that holds a JSON object of secrets.
pub const VARIABLE: &str = "secrets";

/// Values that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The variable `secrets` is no JSON object of texts. Only the place is told: the text is secret.
    #[error(
        "the variable `secrets` (SPIN_VARIABLE_SECRETS; with deploy/compose SPILLWAY_SECRETS) must be a JSON object whose values are strings, such as {{\"openai_key\": \"sk-1\"}}; it is wrong at line {line}, column {column}"
    )]
    NoObject {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Some are missing or empty.
    #[error("{0}")]
    Lacking(String),
    /// Some cannot stand where they are to.
    #[error("{}", .0.join("\n"))]
    Unfit(Vec<String>),
}

/// The values of all names in a normal form: an entry of `secrets`, else a variable of the name.
///
/// # Errors
/// [`SecretsError`]. Empty is an error, too, but for an address of Redis, which means that there is none.
pub fn values(
    normal_form: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, SecretsError> {
    let names = template::names(normal_form);
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut values: BTreeMap<String, String> = match variable(VARIABLE) {
        Some(text) if !text.trim().is_empty() => {
            serde_json::from_str(&text).map_err(|error| SecretsError::NoObject {
                line: error.line(),
                column: error.column(),
            })?
        }
        _ => BTreeMap::new(),
    };
    let may_be_empty = names_of_redis(normal_form);
    let (mut missing, mut empty) = (Vec::new(), Vec::new());
    for name in &names {
        let value = values.get(name).cloned().or_else(|| variable(name));
        match value {
            None => missing.push(name.as_str()),
            Some(value) if value.trim().is_empty() && !may_be_empty.contains(name) => {
                empty.push(name.as_str());
            }
            Some(value) => {
                values.insert(name.clone(), value);
            }
        }
    }
    if !missing.is_empty() || !empty.is_empty() {
        return Err(SecretsError::Lacking(lacking(&missing, &empty)));
    }
    let unfit = unfit(normal_form, &values, &names);
    if unfit.is_empty() {
        Ok(values)
    } else {
        Err(SecretsError::Unfit(unfit))
    }
}

/// What is wrong with values that are there. Keys and addresses have no line breaks: a header with one is not sent.
fn unfit(
    normal_form: &str,
    values: &BTreeMap<String, String>,
    names: &BTreeSet<String>,
) -> Vec<String> {
    let is_broken = |name: &&String| {
        let value = values.get(*name).map_or("", |value| value.trim());
        value.contains(char::is_control)
    };
    let mut unfit: Vec<String> = names
        .iter()
        .filter(is_broken)
        .map(|name| format!("the value of `{name}` has a line break, or another control character, in it: write the key alone"))
        .collect();
    if unfit.is_empty()
        && let Ok(gateway) = parse_normal_form(normal_form)
    {
        unfit = resolved_mistakes(&gateway, |name| values.get(name).cloned());
    }
    unfit
}

fn names_of_redis(normal_form: &str) -> BTreeSet<String> {
    let redis = parse_normal_form(normal_form).map(|gateway| gateway.state.redis);
    redis.map_or_else(|_| BTreeSet::new(), |redis| template::names(&redis))
}

fn lacking(missing: &[&str], empty: &[&str]) -> String {
    let quoted = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let mut text = String::new();
    if !missing.is_empty() {
        text = format!(
            "gateway.yaml needs values that are not given: {}",
            quoted(missing)
        );
    }
    if !empty.is_empty() {
        let separator = if text.is_empty() {
            "gateway.yaml needs values that are"
        } else {
            "; and these are"
        };
        text = format!("{text}{separator} empty: {}", quoted(empty));
    }
    format!(
        "{text}. Write them into the variable `secrets`, a JSON object of texts: --variable secrets=@secrets.json, or SPIN_VARIABLE_SECRETS (with deploy/compose: SPILLWAY_SECRETS in .env). Or declare a variable of that name in spin.toml, under [variables], and hand it to each component"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(normal_form: &str, given: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
        let find = |name: &str| {
            let found = given.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        values(normal_form, find).map_err(|error| error.to_string())
    }

    #[test]
    fn all_have_to_be_there() {
        let form = r#"{"state":{"redis":"{{ redis_url }}"},"providers":[{"name":"p","base_url":"http://p","api_keys":["{{ key }}"]}]}"#;
        let both = of(form, &[("secrets", r#"{"key":"k"}"#), ("redis_url", "")]).unwrap();
        assert_eq!(both.get("key").map(String::as_str), Some("k"));
        let missing = of(form, &[]).unwrap_err();
        assert!(
            missing.contains("not given: `key`, `redis_url`"),
            "{missing}"
        );
        let empty = of(form, &[("key", " \n"), ("redis_url", "")]).unwrap_err();
        assert!(
            empty.contains("empty: `key`") && !empty.contains("redis_url"),
            "{empty}"
        );
        let wrong = of(form, &[("secrets", "{\"key\": 7}")]).unwrap_err();
        assert!(wrong.contains("line 1, column"), "{wrong}");
        assert!(of("{}", &[]).unwrap().is_empty());
        let two_lines = of(form, &[("key", "SECRET\nTWO"), ("redis_url", "")]).unwrap_err();
        assert!(
            two_lines.contains("`key` has a line break") && !two_lines.contains("TWO"),
            "{two_lines}"
        );
        let address = of(form, &[("key", "k"), ("redis_url", "sk-SECRET")]).unwrap_err();
        assert!(
            address.contains("`{{ redis_url }}`") && !address.contains("SECRET"),
            "{address}"
        );
    }
}

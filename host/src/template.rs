//! Text with variables in it: `https://{{ host }}/`.

use std::fmt;

/// A text with `{{ name }}` places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

impl Template {
    /// Splits a text.
    ///
    /// # Errors
    /// A sentence, when a `{{` has no `}}`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let Some((name, remaining)) = after.split_once("}}") else {
                return Err(format!("`{{{{` without `}}}}` in \"{text}\""));
            };
            parts.push(Part::Variable(name.trim().to_owned()));
            rest = remaining;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The variables it reads.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(name) => Some(name.as_str()),
        })
    }

    /// The text with every variable replaced by what `value` says of it.
    ///
    /// # Errors
    /// The name of the first variable without a value.
    pub fn resolve<'a>(
        &self,
        value: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<String, UnknownVariable> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(name) => {
                    text.push_str(value(name).ok_or_else(|| UnknownVariable(name.clone()))?);
                }
            }
        }
        Ok(text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Variable(name) => write!(f, "{{{{ {name} }}}}"),
        })
    }
}

/// A variable that has no value.
#[derive(Debug, thiserror::Error)]
#[error("no value for the variable `{0}`")]
pub struct UnknownVariable(String);

/// Whether Spin takes it as the name of a variable.
pub fn is_variable_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('_')
        && !text.contains("__")
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let template = Template::parse("https://{{ host }}:{{port}}/x").unwrap();
        assert_eq!(template.names().collect::<Vec<_>>(), ["host", "port"]);
        let resolved = template.resolve(|name| match name {
            "host" => Some("a.example"),
            "port" => Some("81"),
            _ => None,
        });
        assert_eq!(resolved.unwrap(), "https://a.example:81/x");
        assert_eq!(template.to_string(), "https://{{ host }}:{{ port }}/x");
    }

    #[test]
    fn mistakes_are_told() {
        assert!(Template::parse("{{ a }} {{ b").is_err());
        let unknown = Template::parse("{{ a }}").unwrap().resolve(|_| None);
        assert_eq!(
            unknown.unwrap_err().to_string(),
            "no value for the variable `a`"
        );
    }

    #[test]
    fn names_are_lower_snake_case() {
        for name in ["a", "redis_url", "key_2"] {
            assert!(is_variable_name(name), "{name}");
        }
        for name in ["", "A", "2a", "_a", "a_", "a__b", "a-b", "ä"] {
            assert!(!is_variable_name(name), "{name}");
        }
    }
}

//! Conditions on headers and query parameters.

use spillway_config::{RequestMatch, ValueMatch};
use spillway_pattern::Pattern;
use spillway_platform::{MAX_MATCHED_BYTES, RequestHead};

/// Conditions, ready to be asked; all must hold.
#[derive(Debug)]
pub struct Conditions {
    /// By name in lower case.
    headers: Vec<(String, Condition)>,
    query: Vec<(String, Condition)>,
}

#[derive(Debug)]
enum Condition {
    Exact(String),
    Prefix(String),
    Regex(Pattern),
    Present(bool),
}

impl Conditions {
    /// Prepares them; `regex` compiles an expression.
    ///
    /// # Errors
    /// What `regex` says of an expression that is none.
    pub fn new<E>(
        config: &RequestMatch,
        regex: impl Fn(&str) -> Result<Pattern, E>,
    ) -> Result<Self, E> {
        let condition = |config: &ValueMatch| {
            Ok(match config {
                ValueMatch::Exact(text) => Condition::Exact(text.clone()),
                ValueMatch::Prefix { prefix } => Condition::Prefix(prefix.clone()),
                ValueMatch::Regex { regex: expression } => Condition::Regex(regex(expression)?),
                ValueMatch::Present { present } => Condition::Present(*present),
            })
        };
        let headers = config
            .headers
            .iter()
            .map(|(name, value)| Ok((name.to_ascii_lowercase(), condition(value)?)));
        let query = config
            .query
            .iter()
            .map(|(name, value)| Ok((name.clone(), condition(value)?)));
        Ok(Self {
            headers: headers.collect::<Result<_, E>>()?,
            query: query.collect::<Result<_, E>>()?,
        })
    }

    /// Whether every condition holds. A field or parameter given several times satisfies a condition if one of its
    /// values does.
    pub fn match_request(&self, request: &RequestHead) -> bool {
        self.headers.iter().all(|(name, condition)| {
            let values = request.headers.all(name);
            condition.matches(values.filter_map(|value| std::str::from_utf8(value).ok()))
        }) && self.query.iter().all(|(name, condition)| {
            let query = request.query().unwrap_or_default();
            let values: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value)
                .collect();
            condition.matches(values.iter().map(AsRef::as_ref))
        })
    }

    /// How many there are: more of them win.
    pub fn count(&self) -> usize {
        self.headers.len().saturating_add(self.query.len())
    }
}

impl Condition {
    fn matches<'a>(&self, mut values: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::Exact(text) => values.any(|value| value == text),
            Self::Prefix(prefix) => values.any(|value| value.starts_with(prefix)),
            Self::Regex(expression) => {
                values.any(|value| value.len() <= MAX_MATCHED_BYTES && expression.is_match(value))
            }
            Self::Present(present) => values.next().is_some() == *present,
        }
    }
}

//! Conditions on headers and query parameters.

use spillway_config::{RequestMatch, ValueMatch};
use spillway_platform::RequestHead;

/// Whether every condition holds. A field or parameter given several times satisfies a condition if one of its
/// values does.
pub(crate) fn holds(conditions: &RequestMatch, request: &RequestHead) -> bool {
    conditions.headers.iter().all(|(name, condition)| {
        let name = name.to_ascii_lowercase();
        value_holds(
            condition,
            request
                .headers
                .all(&name)
                .filter_map(|value| std::str::from_utf8(value).ok()),
        )
    }) && conditions.query.iter().all(|(name, condition)| {
        let query = request.query().unwrap_or_default();
        let values: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .collect();
        value_holds(condition, values.iter().map(AsRef::as_ref))
    })
}

/// How many conditions there are: more of them win.
pub(crate) fn count(conditions: &RequestMatch) -> usize {
    conditions
        .headers
        .len()
        .saturating_add(conditions.query.len())
}

fn value_holds<'a>(condition: &ValueMatch, mut values: impl Iterator<Item = &'a str>) -> bool {
    match condition {
        ValueMatch::Exact(text) => values.any(|value| value == text),
        ValueMatch::Prefix { prefix } => values.any(|value| value.starts_with(prefix)),
        ValueMatch::Present { present } => values.next().is_some() == *present,
    }
}

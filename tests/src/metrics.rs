//! Prometheus' text form, as far as a test reads it.

use std::collections::BTreeMap;

/// Finished requests by `api` (`agent`, `model`), `name`, `route`, `status` and `reason`.
pub const REQUESTS: &str = "spillway_requests_total";
/// Tokens by `name`, `provider`, `model` and `kind` (`input`, `output`).
pub const TOKENS: &str = "spillway_model_tokens_total";
/// The histogram of durations in seconds by `api` and `name`, without the endings of its series.
pub const DURATIONS: &str = "spillway_request_duration_seconds";

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The series' name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// Whether all these labels have these values.
    pub fn has(&self, labels: &[(&str, &str)]) -> bool {
        let equal = |(name, value): &(&str, &str)| {
            self.labels.get(*name).is_some_and(|found| found == value)
        };
        labels.iter().all(equal)
    }
}

/// The samples of a page; what went wrong when it is not in the form.
///
/// # Errors
/// Names the line.
pub fn parse(text: &str) -> Result<Vec<Sample>, String> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| sample(line).ok_or_else(|| format!("no sample: {line:?}")))
        .collect()
}

/// The sum of the samples with this name and these labels.
pub fn total(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let fitting = samples
        .iter()
        .filter(|sample| sample.name == name && sample.has(labels));
    fitting.map(|sample| sample.value).sum()
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(name_end)?;
    let well_named = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':');
    if name.is_empty() || !name.chars().all(well_named) {
        return None;
    }
    let (labels, value) = match rest.strip_prefix('{') {
        None => (BTreeMap::new(), rest),
        Some(rest) => labels(rest)?,
    };
    // A timestamp may follow.
    let value = value.split_whitespace().next()?;
    let value = if value == "+Inf" {
        f64::INFINITY
    } else {
        value.parse().ok()?
    };
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// The labels before the closing brace, and what follows it.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.insert(name.to_owned(), value);
        rest = after;
    }
}

/// A quoted text without its escapes, and what follows the closing quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next()? {
            '"' => return Some((value, letters.as_str())),
            '\\' => value.push(match letters.next()? {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_labels_and_values() {
        let text = "# HELP a_total What.\n# TYPE a_total counter\n\
            a_total{api=\"llm\",route=\"say \\\"hi\\\" {}\"} 3\nb 1.5e3 1700000000\nc_bucket{le=\"+Inf\"} +Inf\n";
        let samples = parse(text).unwrap();
        assert_eq!(samples.len(), 3);
        assert!(samples[0].has(&[("api", "llm"), ("route", "say \"hi\" {}")]));
        assert_eq!(total(&samples, "a_total", &[("api", "llm")]), 3.0);
        assert_eq!(samples[1].value, 1500.0);
        assert_eq!(samples[2].labels["le"], "+Inf");
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["<html>", "a{b=c} 1", "a{b=\"c} 1", "a x", "a"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

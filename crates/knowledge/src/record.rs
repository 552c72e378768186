//! Records: what the contract promises of each, whatever an engine gave.

use serde::Serialize;
use serde_json::{Map, Value};

/// A found piece of text. Dify drops a record whose `metadata` is null, and reads `score` and `title` unasked: all
/// four are always there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// The text.
    pub content: String,
    /// How well it matches; finite.
    pub score: f64,
    /// The document's title; empty where the engine knows none.
    pub title: String,
    /// Anything else.
    pub metadata: Map<String, Value>,
}

impl Record {
    /// Out of what an engine gave; `None` without a text. What is no number counts as a score of 0.
    pub(crate) fn new(
        content: &Value,
        score: &Value,
        title: &Value,
        metadata: Value,
    ) -> Option<Self> {
        let content = text(content).filter(|content| !content.is_empty())?;
        Some(Self {
            content,
            score: number(score).unwrap_or_default(),
            title: text(title).unwrap_or_default(),
            metadata: match metadata {
                Value::Object(members) => members,
                _ => Map::new(),
            },
        })
    }
}

/// The `top_k` best of at least `threshold` (0 or less: of any score), best first; equals in the engine's order.
pub(crate) fn best(mut records: Vec<Record>, threshold: f64, top_k: u32) -> Vec<Record> {
    if threshold > 0.0 {
        records.retain(|record| record.score >= threshold);
    }
    records.sort_by(|left, right| right.score.total_cmp(&left.score));
    records.truncate(usize::try_from(top_k).unwrap_or(usize::MAX));
    records
}

/// Text, or a number or truth value written as such.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A finite number, also one written as text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

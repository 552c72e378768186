//! RAGFlow's `metadata_condition`: other names for the same things, and values that are text throughout.

use serde::Serialize;

use crate::failure::BackendFailure;
use crate::{Condition, Logic, MetadataCondition, Operand};

/// Which documents may answer, in RAGFlow's words.
#[derive(Serialize)]
pub(super) struct Filter<'a> {
    logic: Logic,
    conditions: Vec<Clause<'a>>,
}

#[derive(Serialize)]
struct Clause<'a> {
    name: &'a str,
    comparison_operator: &'static str,
    /// Always there: RAGFlow fails without it, even where it needs none.
    value: ClauseValue,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ClauseValue {
    Text(String),
    List(Vec<String>),
}

/// How many values an operator takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arity {
    None,
    One,
    Many,
}

impl<'a> Filter<'a> {
    /// A condition that RAGFlow cannot apply is refused: left out, it would find what it was to keep out.
    pub fn new(condition: &'a MetadataCondition) -> Result<Self, BackendFailure> {
        let clauses = condition.conditions.iter().map(Clause::new);
        Ok(Self {
            logic: condition.logic,
            conditions: clauses
                .collect::<Result<_, _>>()
                .map_err(BackendFailure::Invalid)?,
        })
    }
}

impl<'a> Clause<'a> {
    fn new(condition: &'a Condition) -> Result<Self, String> {
        let Condition {
            name,
            operator,
            operand,
        } = condition;
        let (comparison_operator, arity) = operator_of(operator).ok_or_else(|| {
            let shown: String = operator.chars().take(40).collect();
            format!("RAGFlow knows no comparison operator `{shown}`.")
        })?;
        let mistake = |what: &str| {
            let shown: String = name.chars().take(40).collect();
            Err(format!("The metadata condition on `{shown}` {what}."))
        };
        let value = match (arity, operand) {
            (Arity::None, _) => ClauseValue::Text(String::new()),
            (Arity::One | Arity::Many, Operand::Absent) => return mistake("has no value"),
            (Arity::One, Operand::Text(text)) => ClauseValue::Text(text.clone()),
            // As text: of a number, RAGFlow compares nothing.
            (Arity::One, Operand::Number(number)) => ClauseValue::Text(number.to_string()),
            (Arity::One, Operand::List(texts)) => match texts.as_slice() {
                [only] => ClauseValue::Text(only.clone()),
                _ => return mistake("takes one value, not a list"),
            },
            (Arity::Many, Operand::Text(text)) => {
                ClauseValue::List(text.split(',').map(|part| part.trim().to_owned()).collect())
            }
            (Arity::Many, Operand::Number(number)) => ClauseValue::List(vec![number.to_string()]),
            (Arity::Many, Operand::List(texts)) => ClauseValue::List(texts.clone()),
        };
        Ok(Self {
            name,
            comparison_operator,
            value,
        })
    }
}

/// Dify's operators, today's and those of its older documentation, in RAGFlow's words.
fn operator_of(operator: &str) -> Option<(&'static str, Arity)> {
    Some(match operator {
        "contains" => ("contains", Arity::One),
        "not contains" => ("not contains", Arity::One),
        "start with" => ("start with", Arity::One),
        "end with" => ("end with", Arity::One),
        "in" => ("in", Arity::Many),
        "not in" => ("not in", Arity::Many),
        "empty" | "null" => ("empty", Arity::None),
        "not empty" | "not null" => ("not empty", Arity::None),
        "is" | "=" | "==" => ("=", Arity::One),
        "is not" | "not is" | "≠" | "!=" => ("≠", Arity::One),
        ">" | "after" => (">", Arity::One),
        "<" | "before" => ("<", Arity::One),
        "≥" | ">=" => ("≥", Arity::One),
        "≤" | "<=" => ("≤", Arity::One),
        _ => return None,
    })
}

//! Conditions on documents' metadata, as Dify writes them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Number, Value};

/// Which documents may answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetadataCondition {
    /// How the conditions are joined.
    #[serde(rename = "logical_operator")]
    pub logic: Logic,
    /// At least one.
    pub conditions: Vec<Condition>,
}

/// How conditions are joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Logic {
    /// All must hold.
    #[default]
    And,
    /// One must hold.
    Or,
}

/// A condition on one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The field's name.
    pub name: String,
    /// How it is compared: an engine knows these or does not.
    pub operator: String,
    /// With what.
    pub operand: Operand,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Nothing, as `empty` needs none.
    Absent,
    /// A text.
    Text(String),
    /// A number.
    Number(Number),
    /// Several texts, as `in` needs.
    List(Vec<String>),
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("comparison_operator", &self.operator)?;
        match &self.operand {
            Operand::Absent => {}
            Operand::Text(text) => map.serialize_entry("value", text)?,
            Operand::Number(number) => map.serialize_entry("value", number)?,
            Operand::List(texts) => map.serialize_entry("value", texts)?,
        }
        map.end()
    }
}

impl MetadataCondition {
    /// Out of a request's `metadata_condition`. Absent, null and without conditions are all none. A condition that
    /// names several fields, as Dify's older documentation has it, stands for one on each.
    ///
    /// # Errors
    /// What is wrong, for the client.
    pub(crate) fn parse(value: Option<&Value>) -> Result<Option<Self>, String> {
        let members = match value {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(members)) => members,
            Some(_) => return Err("`metadata_condition` must be an object.".to_owned()),
        };
        let logic = match members.get("logical_operator") {
            None | Some(Value::Null) => Logic::And,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("and") => Logic::And,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("or") => Logic::Or,
            Some(_) => {
                return Err(
                    "`metadata_condition.logical_operator` must be `and` or `or`.".to_owned(),
                );
            }
        };
        let items = match members.get("conditions") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err("`metadata_condition.conditions` must be a list.".to_owned()),
        };
        let mut conditions = Vec::with_capacity(items.len());
        for item in items {
            let operator = match item.get("comparison_operator") {
                Some(Value::String(operator)) => operator.trim(),
                _ => {
                    return Err("A metadata condition has no `comparison_operator`.".to_owned());
                }
            };
            let operand = Operand::parse(item.get("value"))?;
            for name in names(item.get("name"))? {
                conditions.push(Condition {
                    name,
                    operator: operator.to_owned(),
                    operand: operand.clone(),
                });
            }
        }
        Ok((!conditions.is_empty()).then_some(Self { logic, conditions }))
    }
}

impl Operand {
    fn parse(value: Option<&Value>) -> Result<Self, String> {
        let mistake =
            "The `value` of a metadata condition must be text, a number or a list of texts.";
        Ok(match value {
            None | Some(Value::Null) => Self::Absent,
            Some(Value::String(text)) => Self::Text(text.clone()),
            Some(Value::Number(number)) => Self::Number(number.clone()),
            Some(Value::Array(items)) => Self::List(
                items
                    .iter()
                    .map(|item| match item {
                        Value::String(text) => Ok(text.clone()),
                        Value::Number(number) => Ok(number.to_string()),
                        _ => Err(mistake.to_owned()),
                    })
                    .collect::<Result<_, _>>()?,
            ),
            Some(Value::Bool(_) | Value::Object(_)) => return Err(mistake.to_owned()),
        })
    }
}

fn names(value: Option<&Value>) -> Result<Vec<String>, String> {
    let names: Option<Vec<String>> = match value {
        Some(Value::String(name)) => Some(vec![name.clone()]),
        Some(Value::Array(names)) => names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    names
        .filter(|names| !names.is_empty() && names.iter().all(|name| !name.trim().is_empty()))
        .ok_or_else(|| "A metadata condition has no `name`.".to_owned())
}

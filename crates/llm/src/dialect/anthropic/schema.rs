//! JSON schemas as Anthropic's structured outputs take them.
//!
//! **Rule**, after `transform_schema` of Anthropic's Python library 2.14: objects are closed, `oneOf` is `anyOf`, and what
//! their grammar has no word for (bounds of numbers and lengths, patterns) goes into the description, where the model
//! reads it. Members keep their order, which is the order in which the model writes them.

use serde_json::value::RawValue;
use spillway_json::{Members, elements};

/// Formats of texts that are taken.
const FORMATS: [&str; 10] = [
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
];

/// No schema is deeper: what is below stays as it is.
const MAX_DEPTH: usize = 64;

/// A schema as it is taken.
pub(super) fn transformed(schema: &RawValue) -> Box<RawValue> {
    RawValue::from_string(written(schema, 0)).unwrap_or_else(|_| schema.to_owned())
}

fn written(schema: &RawValue, depth: usize) -> String {
    let members = Members::of(schema).filter(|_| depth < MAX_DEPTH);
    let Some(members) = members else {
        return schema.get().to_owned();
    };
    let below = |schema: &RawValue| written(schema, depth.saturating_add(1));
    let mut out: Vec<(&str, String)> = Vec::new();
    let (mut description, mut left_out) = (None, Vec::new());
    for (name, value) in members.iter() {
        let raw = value.get();
        match name {
            "$ref" | "type" | "enum" | "const" | "title" | "required" => {
                out.push((name, raw.to_owned()));
            }
            "$defs" | "definitions" | "properties" => out.push((name, each(value, &below))),
            "items" => out.push((name, below(value))),
            "anyOf" | "oneOf" | "allOf" => {
                let name = if name == "oneOf" { "anyOf" } else { name };
                let all: Vec<String> = elements(value).into_iter().map(&below).collect();
                out.push((name, format!("[{}]", all.join(","))));
            }
            "minItems" if matches!(raw, "0" | "1") => out.push((name, raw.to_owned())),
            "format" if FORMATS.iter().any(|known| raw.trim_matches('"') == *known) => {
                out.push((name, raw.to_owned()));
            }
            "description" => description = serde_json::from_str::<String>(raw).ok(),
            "additionalProperties" | "$schema" | "$id" => {}
            _ => left_out.push(format!("{name}: {raw}")),
        }
    }
    let is = |name: &str, value: &str| {
        let mut all = out.iter();
        all.any(|(own, written)| *own == name && (value.is_empty() || written == value))
    };
    if is("type", "\"object\"") || is("properties", "") {
        if !is("properties", "") {
            out.push(("properties", "{}".to_owned()));
        }
        out.push(("additionalProperties", "false".to_owned()));
    }
    if !left_out.is_empty() {
        let rest = format!("{{{}}}", left_out.join(", "));
        description = Some(match description {
            Some(words) => format!("{words}\n\n{rest}"),
            None => rest,
        });
    }
    if let Some(words) = description {
        out.push(("description", serde_json::Value::from(words).to_string()));
    }
    object(out.iter().map(|(name, value)| (*name, value.as_str())))
}

/// An object each of whose values is a schema.
fn each(object_of: &RawValue, below: &impl Fn(&RawValue) -> String) -> String {
    let members = Members::of(object_of).unwrap_or_default();
    let all: Vec<(String, String)> = members
        .iter()
        .map(|(name, value)| (name.to_owned(), below(value)))
        .collect();
    object(
        all.iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let members = members.map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

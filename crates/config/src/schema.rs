//! The JSON Schema of `gateway.yaml`, for editors. It follows from the types and their comments; written by hand
//! is only what has a text form, or spellings, of its own.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::provider::ProviderKeyMapping;
use crate::{ByteSize, FallbackCondition, Gateway, Moment, ProviderKey, ProviderType, TimeSpan};

/// The schema (draft 2020-12), indented, ending in a line break; the same each time.
pub fn json_schema() -> String {
    let settings = SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(without_null))
        .with_transform(RecursiveTransform(with_flowing_description));
    let mut schema = settings.into_generator().into_root_schema_for::<Gateway>();
    schema.insert("title".to_owned(), Value::from("Spillway's gateway.yaml"));
    let mut value = schema.to_value();
    // Another crate of the build may have serde_json keep the order of insertion.
    value.sort_all_objects();
    format!("{value:#}\n")
}

/// An optional key is left out, never `null`: a key without a value is taken for a mistake.
fn without_null(schema: &mut Schema) {
    let is_null =
        |value: &Value| *value == "null" || value.get("type").is_some_and(|kind| kind == "null");
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| !is_null(kind));
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| !is_null(choice));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.insert(key, value);
            }
        }
    }
}

/// Comments are wrapped for the source; an editor wraps for itself.
fn with_flowing_description(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description
            .replace("\n\n", "\u{b}")
            .replace('\n', " ")
            .replace('\u{b}', "\n\n");
    }
}

/// For the types of a rate-limit document, whose keys may begin with a capital, as the guide's `Limit_by_header`
/// does. Editors complete and check the usual spelling, and pass the other.
pub(crate) fn with_capital_keys(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return;
    };
    let capital = |key: &String| {
        let mut letters = key.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    let keys: Vec<String> = properties.keys().map(capital).collect();
    let pattern = format!("^({})$", keys.join("|"));
    schema.insert(
        "patternProperties".to_owned(),
        serde_json::json!({ pattern: true }),
    );
}

/// For policies whose limits may be one document alone, as Higress writes it.
pub(crate) fn with_single_limits(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for key in ["rate_limits", "token_limits"] {
        let Some(Value::Object(list)) = properties.get_mut(key) else {
            continue;
        };
        if let (Some(items), Some(kind)) = (list.get("items").cloned(), list.remove("type")) {
            let own = list.remove("items");
            let lists = serde_json::json!({ "type": kind, "items": own });
            list.insert("anyOf".to_owned(), serde_json::json!([lists, items]));
        }
    }
}

/// For a limit's document, which may be one of Higress' with `_rules_`, each of which is one.
pub(crate) fn with_higress_rules(schema: &mut Schema) {
    with_capital_keys(schema);
    let list = |description: &str| serde_json::json!({ "description": description, "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
    let added = [
        (
            "_rules_",
            serde_json::json!({
                "description": "Documents that each hold for some routes or domains, as Higress writes them: the first that matches, and what stands beside them for the rest.",
                "anyOf": [{ "type": "object" }, { "type": "array", "items": { "type": "object" } }],
            }),
        ),
        ("_match_route_", list("Names of routes.")),
        ("_match_route_prefix_", list("Beginnings of routes' names.")),
        (
            "_match_domain_",
            list("Domains: whole ones, `*.example.com`, or `example.*`."),
        ),
    ];
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.extend(added.map(|(key, value)| (key.to_owned(), value)));
    }
    schema.remove("required");
    let choices = serde_json::json!([{ "required": ["rule_name"] }, { "required": ["_rules_"] }]);
    schema.insert("anyOf".to_owned(), choices);
}

impl JsonSchema for TimeSpan {
    fn schema_name() -> Cow<'static, str> {
        "TimeSpan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration, written `500ms`, `5s`, `2m` or `1h`; at most 24 h.",
            "pattern": "^[0-9]+(ms|s|m|h)$",
        })
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size in bytes, written `4096`, `512KiB`, `100MiB` or `1GiB`.",
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)?$" },
                { "type": "integer", "minimum": 0 },
            ],
        })
    }
}

impl JsonSchema for FallbackCondition {
    fn schema_name() -> Cow<'static, str> {
        "FallbackCondition".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A kind of failure, or a status from 400 to 599: `\"429\"`, `\"4xx\"`, `\"5xx\"`.",
            "anyOf": [
                { "const": "connect_error", "description": "Refused, no such name, or no connection in time." },
                { "const": "timeout", "description": "No head, or no further byte, in time." },
                { "const": "first_token_timeout", "description": "A stream without content in time." },
                { "const": "reset", "description": "The connection broke, or what came was no HTTP or no JSON." },
                { "const": "truncated", "description": "The answer ended before it was complete, or was empty." },
                { "const": "context_length", "description": "The request is longer than the model takes." },
                { "const": "content_filter", "description": "The provider's content filter stopped the request or the whole answer." },
                { "const": "gateway_refusal", "description": "One of the gateway's own limits refused the call: it goes to the second target instead." },
                { "type": "string", "pattern": "^[45]([0-9][0-9]|xx)$" },
                { "type": "integer", "minimum": 400, "maximum": 599 },
            ],
        })
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A moment in UTC, `2026-12-01T00:00:00Z`, or a day, `2026-12-01`.",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$",
        })
    }
}

impl JsonSchema for ProviderKey {
    fn schema_name() -> Cow<'static, str> {
        "ProviderKey".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A key alone, or with its share of the calls and its time.",
            "anyOf": [{ "type": "string" }, generator.subschema_for::<ProviderKeyMapping>()],
        })
    }
}

// By hand, as the types are a table.
impl JsonSchema for ProviderType {
    fn schema_name() -> Cow<'static, str> {
        "ProviderType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A vendor, whose API and URL are known (`claude` is Higress' name for `anthropic`); or `openai_compatible`, any engine that speaks OpenAI's API: vLLM, SGLang, Ollama, llama.cpp, LiteLLM, …",
            "enum": ProviderType::NAMES,
        })
    }
}

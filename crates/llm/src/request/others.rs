//! Models that a request names besides the one it asks for.

use serde_json::Value;

/// The members that name them: OpenRouter's `models` (its guide "Model Routing") and LiteLLM's `fallbacks` (its page
/// "Fallbacks"; each a name, an object with a `model`, or lists of names by name).
pub(super) const OTHERS: [&str; 2] = ["models", "fallbacks"];

/// The names; `None` where it is no list of any.
pub(super) fn names_in(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(list) => {
            let mut names = Vec::new();
            for entry in list {
                names.extend(names_in_entry(entry)?);
            }
            Some(names)
        }
        _ => None,
    }
}

fn names_in_entry(entry: &Value) -> Option<Vec<String>> {
    match entry {
        Value::String(name) => Some(vec![name.clone()]),
        Value::Object(object) => match object.get("model") {
            Some(Value::String(name)) => Some(vec![name.clone()]),
            Some(_) => None,
            None => {
                let mut names = Vec::new();
                for listed in object.values() {
                    for name in listed.as_array()? {
                        names.push(name.as_str()?.to_owned());
                    }
                }
                Some(names)
            }
        },
        _ => None,
    }
}

//! The shapes of errors, one function each.

use serde_json::{Map, Value};

use super::{CODES, MESSAGES, TYPES, is_fine, is_said, written};

/// Whose form it is, of those whose codes are numbers: MiniMax, Qianfan, SiliconFlow, FastChat, Zhipu (which writes them as
/// text, within an error).
pub(super) fn vendor_of(document: &Map<String, Value>) -> &'static str {
    let has = |name: &str| document.contains_key(name);
    let code_within = document.get("error").and_then(|error| error.get("code"));
    if has("base_resp") {
        "minimax"
    } else if has("error_code") && has("error_msg") {
        "qianfan"
    } else if has("data") && document.get("code").is_some_and(Value::is_number) {
        "siliconflow"
    } else if document
        .get("object")
        .is_some_and(|object| object == "error")
    {
        "fastchat"
    } else if code_within.is_some_and(Value::is_string) || (has("code") && has("msg")) {
        "zhipu"
    } else {
        ""
    }
}

/// Whether it says no more than that all is well.
pub(super) fn is_fine_alone(error: &Map<String, Value>) -> bool {
    error
        .get("code")
        .is_some_and(|code| !code.is_null() && is_fine(Some(code)))
}

/// The first of a list of errors.
pub(super) fn in_list(document: &mut Map<String, Value>, name: &str) -> Option<Map<String, Value>> {
    let first = match document.remove(name)? {
        Value::Array(list) => list.into_iter().next()?,
        other => other,
    };
    match first {
        Value::Object(error) if !error.is_empty() => Some(error),
        text @ Value::String(_) => Some(message(text)),
        _ => None,
    }
}

pub(super) fn in_base_resp(document: &mut Map<String, Value>) -> Option<Map<String, Value>> {
    match document.remove("base_resp")? {
        Value::Object(base) if !is_fine(base.get("status_code")) => Some(base),
        _ => None,
    }
}

pub(super) fn in_response(document: &mut Map<String, Value>) -> Option<Map<String, Value>> {
    match document.get_mut("Response")?.get_mut("Error")?.take() {
        Value::Object(error) => Some(error),
        _ => None,
    }
}

/// An error that is the document itself.
pub(super) fn bare(document: Map<String, Value>) -> Option<Map<String, Value>> {
    let has = |name: &str| document.get(name).is_some_and(is_said);
    let has_code = document.contains_key("error_code");
    let tells = MESSAGES.iter().any(|name| has(name)) || (has("text") && has_code);
    let code = CODES.iter().find_map(|name| document.get(*name));
    // A job's status, not an error's: `running`, `finished`, `queued`.
    let is_notice = CODES[..5].iter().all(|name| !document.contains_key(*name))
        && document
            .get("status")
            .and_then(Value::as_str)
            .is_some_and(is_progress);
    let is_error = document
        .get("object")
        .is_some_and(|object| object == "error");
    if !tells || is_notice || (code.is_some() && is_fine(code) && !is_error) {
        return None;
    }
    let kept = |name: &str| {
        MESSAGES.contains(&name)
            || CODES.contains(&name)
            || TYPES.contains(&name)
            || matches!(name, "param")
            || (name == "text" && has_code)
    };
    Some(
        document
            .into_iter()
            .filter(|(name, _)| kept(name))
            .collect(),
    )
}

/// The members under OpenAI's names.
pub(super) fn named(mut error: Map<String, Value>) -> Map<String, Value> {
    let found = MESSAGES
        .iter()
        .chain(&["error", "text"])
        .find(|name| error.get(**name).is_some_and(is_said));
    if let Some(name) = found
        && let Some(value) = error.remove(*name)
    {
        error.insert("message".to_owned(), of_parts(value));
    }
    for (name, others) in [("code", &CODES[1..5]), ("type", &TYPES[1..])] {
        if !error.get(name).is_some_and(is_said)
            && let Some(value) = others.iter().find_map(|other| error.remove(*other))
        {
            error.insert(name.to_owned(), value);
        }
    }
    error
}

/// FastAPI's list of what is wrong with a request as one sentence each; anything else as it is.
fn of_parts(value: Value) -> Value {
    let Value::Array(parts) = &value else {
        return value;
    };
    let told: Option<Vec<String>> = parts
        .iter()
        .map(|part| {
            let message = part.get("msg")?.as_str()?;
            let place = part.get("loc").and_then(Value::as_array);
            let place: Vec<String> = place.into_iter().flatten().filter_map(written).collect();
            Some(format!("{}: {message}", place.join(".")))
        })
        .collect();
    told.map_or(value, |told| told.join("; ").into())
}

/// A word that is no number and speaks of no failure.
fn is_progress(status: &str) -> bool {
    let status = status.to_lowercase();
    let tells = |word: &&str| status.contains(*word);
    status.parse::<u16>().is_err()
        && !["err", "fail", "invalid", "denied", "unavailable"]
            .iter()
            .any(tells)
}

pub(super) fn message(text: Value) -> Map<String, Value> {
    Map::from_iter([("message".to_owned(), text)])
}

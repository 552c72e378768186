//! Tools, and which of them the model is to call.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spillway_json::Members;

use super::content::{Text, list, text_of};
use crate::dialect::EncodeError;

/// A tool.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Tool<'a> {
    Function {
        name: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<Cow<'a, str>>,
        input_schema: Cow<'a, RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    /// One of Anthropic's own, in its own form.
    Own(&'a RawValue),
}

/// Which tool is called.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ToolChoice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Option<Text<'a>>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

/// A tool without parameters has to say so.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// `tools`.
pub(super) fn tools<'a>(written: &'a RawValue) -> Result<Vec<Tool<'a>>, EncodeError> {
    list(written, "tools")?
        .into_iter()
        .map(|tool| {
            let read: Written<'a> = serde_json::from_str(tool.get())
                .map_err(|_| EncodeError("`tools` has one that is no tool.".to_owned()))?;
            let is_function = read.kind.is_none_or(|Text(kind)| kind == "function");
            Ok(match read.function.filter(|_| is_function) {
                Some(function) => of_function(function, read.cache_control),
                None => Tool::Own(tool),
            })
        })
        .collect()
}

fn of_function<'a>(function: Function<'a>, cache_control: Option<&'a RawValue>) -> Tool<'a> {
    let none = || RawValue::from_string(NO_PARAMETERS.to_owned()).unwrap_or_default();
    Tool::Function {
        name: function.name,
        description: function.description.map(|Text(text)| text),
        input_schema: function
            .parameters
            .map_or_else(|| Cow::Owned(none()), typed),
        strict: function.strict,
        cache_control,
    }
}

/// Parameters say that they are an object: OpenAI's API does not mind if they do not.
fn typed(parameters: &RawValue) -> Cow<'_, RawValue> {
    let Some(members) = Members::of(parameters).filter(|members| members.get("type").is_none())
    else {
        return Cow::Borrowed(parameters);
    };
    let others = members.written(|name, value| (name != "type").then(|| value.get()));
    let rest = others.strip_prefix('{').unwrap_or_default();
    let comma = if rest == "}" { "" } else { "," };
    RawValue::from_string(format!("{{\"type\":\"object\"{comma}{rest}"))
        .map_or(Cow::Borrowed(parameters), Cow::Owned)
}

/// `tool_choice`, with what `parallel_tool_calls` says. `None` where there is nothing to say.
pub(super) fn tool_choice<'a>(
    written: Option<&'a RawValue>,
    is_serial: bool,
) -> Result<Option<ToolChoice<'a>>, EncodeError> {
    let choice = |kind, name| ToolChoice {
        kind,
        name,
        disable_parallel_tool_use: (is_serial && kind != "none").then_some(true),
    };
    let Some(written) = written else {
        return Ok(is_serial.then(|| choice("auto", None)));
    };
    if let Some(word) = text_of(written) {
        return match word.as_ref() {
            "auto" => Ok(Some(choice("auto", None))),
            "required" | "any" => Ok(Some(choice("any", None))),
            "none" => Ok(Some(choice("none", None))),
            _ => Err(EncodeError(
                "`tool_choice` must be auto, required, none or a function.".to_owned(),
            )),
        };
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default, rename = "type")]
        kind: Option<Text<'a>>,
        #[serde(borrow, default)]
        function: Option<Function<'a>>,
        #[serde(borrow, default)]
        name: Option<Text<'a>>,
    }
    let named: Named<'a> = serde_json::from_str(written.get())
        .map_err(|_| EncodeError("`tool_choice` is none of OpenAI's API.".to_owned()))?;
    // Anthropic's own words, too.
    match named.kind.as_ref().map(|Text(kind)| kind.as_ref()) {
        Some("auto") => return Ok(Some(choice("auto", None))),
        Some("any") => return Ok(Some(choice("any", None))),
        Some("none") => return Ok(Some(choice("none", None))),
        _ => {}
    }
    let name = named.function.map(|function| function.name);
    match name.or_else(|| named.name.map(|Text(name)| name)) {
        Some(name) => Ok(Some(choice("tool", Some(name)))),
        None => Err(EncodeError("`tool_choice` names no function.".to_owned())),
    }
}

//! A chat, as Anthropic's API takes it.
//!
//! | OpenAI's member | becomes |
//! | --- | --- |
//! | `max_completion_tokens`, `max_tokens` | `max_tokens`, which Anthropic wants: 4096 where there is none |
//! | `messages` | `system`, `messages` |
//! | `tools`, `functions`; `tool_choice`, `function_call`, `parallel_tool_calls` | `tools`; `tool_choice` |
//! | `stop` | `stop_sequences` |
//! | `reasoning_effort` | `output_config.effort`; `none`: no `thinking` |
//! | `response_format` with a schema | `output_config.format` |
//! | `user`, `safety_identifier` | `metadata.user_id` |
//! | those of [`LEFT_OUT`] and [`SILENT`] | nothing: the first are named to the client |
//! | any other | itself |

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::content::{Text, list, text_of};
use super::messages::Messages;
use super::tools::{tool_choice, tools};
use crate::dialect::EncodeError;
use crate::{ModelRequest, ModelThere};

/// Every model takes as many.
const DEFAULT_MAX_TOKENS: u32 = 4096;

/// Anthropic has no word for these.
const LEFT_OUT: [&str; 11] = [
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "prediction",
    "verbosity",
    "web_search_options",
    "audio",
    "service_tier",
];

/// These mean nothing for the answer.
const SILENT: [&str; 6] = [
    "stream_options",
    "store",
    "prompt_cache_key",
    "prompt_cache_retention",
    "models",
    "fallbacks",
];

/// These are translated.
const READ: [&str; 22] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "stop",
    "temperature",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "user",
    "safety_identifier",
    "metadata",
    "n",
    "modalities",
    "output_config",
    "thinking",
    "system",
];

/// The members of a request that are left out, though the client means something by them.
pub(in crate::dialect) fn left_out(request: &ModelRequest) -> Vec<&str> {
    let is_neutral = |value: &[u8]| {
        matches!(
            value,
            b"null" | b"false" | b"0" | b"0.0" | b"{}" | b"[]" | b"\"\"" | b"\"auto\""
        )
    };
    let members = request.members().iter();
    members
        .filter(|(name, value)| LEFT_OUT.contains(&name.as_str()) && !is_neutral(value))
        .map(|(name, _)| name.as_str())
        .collect()
}

/// The body.
pub(in crate::dialect) fn encode(
    request: &ModelRequest,
    model: ModelThere<'_>,
) -> Result<Vec<u8>, EncodeError> {
    let member = |name: &str| Member::of(request, name);
    refuse_what_changes_the_answer(request)?;
    let messages =
        member("messages").ok_or_else(|| EncodeError("`messages` is missing.".to_owned()))?;
    let Messages {
        mut system,
        messages,
    } = Messages::of(messages)?;
    let mut body = Body::new();
    body.member("model", &model.name(&request.model))?;
    match member("max_completion_tokens").or_else(|| member("max_tokens")) {
        Some(max_tokens) => body.member("max_tokens", max_tokens)?,
        None => body.member("max_tokens", &DEFAULT_MAX_TOKENS)?,
    }
    if let Some(own) = member("system") {
        let own = super::content::blocks(Some(own), "system")?;
        system.splice(0..0, own);
    }
    if !system.is_empty() {
        body.member("system", &system)?;
    }
    body.member("messages", &messages)?;
    if request.stream {
        body.member("stream", &true)?;
    }
    if let Some(stop) = member("stop") {
        let sequences = stop_sequences(stop)?;
        if !sequences.is_empty() {
            body.member("stop_sequences", &sequences)?;
        }
    }
    if let Some(temperature) = member("temperature") {
        let is_above = serde_json::from_str::<f64>(temperature.get()).is_ok_and(|it| it > 1.0);
        if is_above {
            body.member("temperature", &1)?;
        } else {
            body.member("temperature", temperature)?;
        }
    }
    let own_tools = member("tools").map(|written| tools(written, false));
    let old_tools = member("functions").map(|written| tools(written, true));
    let all_tools = own_tools.or(old_tools).transpose()?.unwrap_or_default();
    if !all_tools.is_empty() {
        body.member("tools", &all_tools)?;
        let is_serial = member("parallel_tool_calls").is_some_and(|it| it.get() == "false");
        let choice = member("tool_choice").or_else(|| member("function_call"));
        if let Some(choice) = tool_choice(choice, is_serial)? {
            body.member("tool_choice", &choice)?;
        }
    }
    encode_thoughts(request, &mut body)?;
    encode_user(request, &mut body)?;
    for (name, value) in request.members() {
        let name = name.as_str();
        if !READ.contains(&name) && !LEFT_OUT.contains(&name) && !SILENT.contains(&name) {
            body.raw(name, value);
        }
    }
    Ok(body.finish())
}

/// `thinking` and `output_config`: the client's own where it knows Anthropic's words.
fn encode_thoughts(request: &ModelRequest, body: &mut Body) -> Result<(), EncodeError> {
    #[derive(Default, Serialize)]
    struct OutputConfig<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        effort: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Format<'a>>,
    }
    #[derive(Serialize)]
    struct Format<'a> {
        r#type: &'static str,
        schema: &'a RawValue,
    }
    let member = |name: &str| Member::of(request, name);
    let effort = member("reasoning_effort").and_then(text_of);
    match (member("thinking"), effort.as_deref()) {
        (Some(own), _) => body.member("thinking", own)?,
        (None, Some("none")) => {
            body.member("thinking", &serde_json::json!({ "type": "disabled" }))?;
        }
        (None, _) => {}
    }
    if let Some(own) = member("output_config") {
        return body.member("output_config", own);
    }
    let config = OutputConfig {
        effort: effort.filter(|effort| effort != "none").map(|effort| {
            if effort == "minimal" {
                Cow::Borrowed("low")
            } else {
                effort
            }
        }),
        format: schema_of(member("response_format"))?.map(|schema| Format {
            r#type: "json_schema",
            schema,
        }),
    };
    if config.effort.is_some() || config.format.is_some() {
        body.member("output_config", &config)?;
    }
    Ok(())
}

fn encode_user(request: &ModelRequest, body: &mut Body) -> Result<(), EncodeError> {
    #[derive(Deserialize)]
    struct Metadata<'a> {
        #[serde(borrow, default)]
        user_id: Option<Text<'a>>,
    }
    let metadata = Member::of(request, "metadata");
    let metadata = metadata.and_then(|it| serde_json::from_str::<Metadata<'_>>(it.get()).ok());
    let own = metadata.and_then(|metadata| metadata.user_id);
    let user = || {
        let user = Member::of(request, "user").or_else(|| Member::of(request, "safety_identifier"));
        user.and_then(text_of)
    };
    match own.map(|Text(user)| user).or_else(user) {
        Some(user) if !user.is_empty() => {
            body.member("metadata", &serde_json::json!({ "user_id": user }))
        }
        _ => Ok(()),
    }
}

/// What asks for an answer that Anthropic cannot give is refused: another one would be taken for it.
fn refuse_what_changes_the_answer(request: &ModelRequest) -> Result<(), EncodeError> {
    let is_other = |name: &str, fine: &[&str]| {
        let value = Member::of(request, name);
        value.is_some_and(|value| !fine.contains(&value.get()))
    };
    if is_other("n", &["1"]) {
        return Err(EncodeError(
            "This model gives one answer a call: leave `n` out, or send 1.".to_owned(),
        ));
    }
    if is_other("modalities", &["[\"text\"]", "[]"]) {
        return Err(EncodeError(
            "This model answers in text alone: leave `modalities` out.".to_owned(),
        ));
    }
    Ok(())
}

/// The schema that an answer is to fit.
fn schema_of(format: Option<&RawValue>) -> Result<Option<&RawValue>, EncodeError> {
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow, default, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        json_schema: Option<Named<'a>>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        schema: Option<&'a RawValue>,
    }
    let Some(format) = format else {
        return Ok(None);
    };
    let read: Format<'_> = serde_json::from_str(format.get())
        .map_err(|error| EncodeError(format!("`response_format` cannot be read: {error}.")))?;
    match (read.kind.as_ref(), read.json_schema) {
        ("" | "text", _) => Ok(None),
        ("json_schema", Some(Named { schema: Some(schema) })) => Ok(Some(schema)),
        _ => Err(EncodeError(
            "This model takes a `response_format` with a schema alone: send `json_schema`, or ask for JSON in words.".to_owned(),
        )),
    }
}

/// White space alone ends nothing.
fn stop_sequences(stop: &RawValue) -> Result<Vec<Cow<'_, str>>, EncodeError> {
    let texts = match text_of(stop) {
        Some(one) => vec![one],
        None => list(stop, "stop")?
            .into_iter()
            .filter_map(text_of)
            .collect(),
    };
    Ok(texts
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect())
}

/// A member of the request, unless it is null.
struct Member;

impl Member {
    fn of<'a>(request: &'a ModelRequest, name: &str) -> Option<&'a RawValue> {
        let members = request.members().iter();
        let value = members
            .rev()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value)?;
        let value: &RawValue = serde_json::from_slice(value).ok()?;
        (value.get() != "null").then_some(value)
    }
}

/// A JSON object that is being written.
struct Body(Vec<u8>);

impl Body {
    fn new() -> Self {
        Self(vec![b'{'])
    }

    fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), EncodeError> {
        let written = serde_json::to_vec(value)
            .map_err(|error| EncodeError(format!("The request cannot be translated: {error}.")))?;
        self.raw(name, &written);
        Ok(())
    }

    fn raw(&mut self, name: &str, value: &[u8]) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0
            .extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(value);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

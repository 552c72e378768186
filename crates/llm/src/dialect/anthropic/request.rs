//! A chat, as Anthropic's API takes it.
//!
//! | OpenAI's member | becomes |
//! | --- | --- |
//! | `max_completion_tokens`, `max_tokens` | `max_tokens`, which Anthropic wants: 4096 where there is none |
//! | `messages` | `system`, `messages` |
//! | `tools`; `tool_choice`, `parallel_tool_calls` | `tools`; `tool_choice` |
//! | `stop` | `stop_sequences` |
//! | `temperature`, `top_p` | themselves, unless they are 1, which they are anyway; never both, which newer models refuse |
//! | `reasoning_effort` | `output_config.effort`; `none`: no `thinking` |
//! | `response_format` with a schema | `output_config.format` |
//! | `user`, `safety_identifier` | `metadata.user_id` |
//! | those of [`LEFT_OUT`] and [`SILENT`] | nothing: the first are named to the client |
//! | any other | itself |

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{Body, Member};
use super::content::{Text, list, text_of};
use super::messages::Messages;
use super::output::{budget_of, encode_thoughts};
use super::tools::{tool_choice, tools};
use crate::dialect::EncodeError;
use crate::{ModelRequest, ModelThere};

/// Every model takes as many.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Anthropic takes 32 MB a request.
const MAX_MESSAGES_BYTES: usize = 32 * 1024 * 1024;

/// So many members and elements are translated at most: each takes a hundred bytes meanwhile.
const MAX_VALUES: usize = 1_000_000;

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
const READ: [&str; 24] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "stop",
    "stop_sequences",
    "temperature",
    "top_p",
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
        .filter(|(name, value)| {
            let is_own = name == "service_tier" && value == STANDARD_TIER;
            let is_dropped = LEFT_OUT.contains(&name.as_str()) && !is_own && !is_neutral(value);
            is_dropped || (name == "top_p" && !sends_top_p(request) && !is_one(value))
        })
        .map(|(name, _)| name.as_str())
        .collect()
}

/// A tier that Anthropic has and OpenAI has not.
const STANDARD_TIER: &[u8] = b"\"standard_only\"";

fn is_one(value: &[u8]) -> bool {
    serde_json::from_slice::<f64>(value).is_ok_and(|number| (number - 1.0).abs() < f64::EPSILON)
}

/// Above 1 it is 1, which it is anyway.
fn sends_temperature(request: &ModelRequest) -> bool {
    let temperature = Member::of(request, "temperature");
    temperature.is_some_and(|value| {
        let number = serde_json::from_str::<f64>(value.get());
        !is_one(value.get().as_bytes()) && !number.is_ok_and(|number| number > 1.0)
    })
}

/// One of the two is sent, the temperature first: newer models refuse both.
fn sends_top_p(request: &ModelRequest) -> bool {
    let top_p = Member::of(request, "top_p");
    let is_set = top_p.is_some_and(|value| !is_one(value.get().as_bytes()));
    is_set && !sends_temperature(request)
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
    let written = messages.get().as_bytes();
    if written.len() > MAX_MESSAGES_BYTES
        || memchr::memchr3_iter(b',', b'{', b'[', written).count() > MAX_VALUES
    {
        return Err(EncodeError(
            "This model takes messages of up to 32 MB and 1,000,000 members.".to_owned(),
        ));
    }
    let Messages {
        mut system,
        messages,
        ..
    } = Messages::of(messages)?;
    let mut body = Body::new();
    body.member("model", &model.name(&request.model))?;
    match member("max_completion_tokens").or_else(|| member("max_tokens")) {
        Some(max_tokens) => body.member("max_tokens", max_tokens)?,
        // Thoughts count among them.
        None => {
            let budget = member("thinking").map(budget_of).unwrap_or_default();
            let max_tokens = budget.saturating_add(DEFAULT_MAX_TOKENS);
            body.member("max_tokens", &max_tokens)?;
        }
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
    match (
        member("stop").map(stop_sequences).transpose()?,
        member("stop_sequences"),
    ) {
        (Some(sequences), _) if !sequences.is_empty() => {
            body.member("stop_sequences", &sequences)?;
        }
        (None, Some(own)) => body.member("stop_sequences", own)?,
        _ => {}
    }
    if let Some(temperature) = member("temperature").filter(|_| sends_temperature(request)) {
        body.member("temperature", temperature)?;
    }
    if let Some(top_p) = member("top_p").filter(|_| sends_top_p(request)) {
        body.member("top_p", top_p)?;
    }
    let tools = member("tools").map(tools).transpose()?.unwrap_or_default();
    if !tools.is_empty() {
        body.member("tools", &tools)?;
        let is_serial = member("parallel_tool_calls").is_some_and(|it| it.get() == "false");
        if let Some(choice) = tool_choice(member("tool_choice"), is_serial)? {
            body.member("tool_choice", &choice)?;
        }
    }
    encode_thoughts(request, &mut body)?;
    encode_user(request, &mut body)?;
    for (name, value) in request.members() {
        let name = name.as_str();
        let is_own = name == "service_tier" && value == STANDARD_TIER;
        let is_known = READ.contains(&name) || LEFT_OUT.contains(&name) || SILENT.contains(&name);
        if is_own || !is_known {
            body.raw(name, value);
        }
    }
    Ok(body.finish())
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
    let modalities = Member::of(request, "modalities");
    let modalities = modalities.map(|it| serde_json::from_str::<Vec<String>>(it.get()));
    let is_text_alone = |all: &Vec<String>| all.iter().all(|modality| modality == "text");
    if modalities.is_some_and(|all| !all.is_ok_and(|all| is_text_alone(&all))) {
        return Err(EncodeError(
            "This model answers in text alone: leave `modalities` out.".to_owned(),
        ));
    }
    if is_other("functions", &["[]"]) {
        return Err(EncodeError(
            "This model takes `tools`: `functions` and `function_call` are what they were called before.".to_owned(),
        ));
    }
    Ok(())
}

/// White space alone ends nothing.
fn stop_sequences(stop: &RawValue) -> Result<Vec<Cow<'_, str>>, EncodeError> {
    let wrong = || EncodeError("`stop` must be a text or a list of texts.".to_owned());
    let texts = match text_of(stop) {
        Some(one) => vec![one],
        None => list(stop, "stop")
            .map_err(|_| wrong())?
            .into_iter()
            .map(|one| text_of(one).ok_or_else(wrong))
            .collect::<Result<_, _>>()?,
    };
    Ok(texts
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect())
}

//! A client's request: read where the gateway must, left to the byte elsewhere.

mod body;
mod others;
mod output_cap;

pub use body::{ModelThere, StreamOptionsSent};

use bytes::Bytes;
use serde_json::{Number, Value};
use spillway_config::Parameters;

use self::others::{OTHERS, names_in};
use crate::Operation;
use crate::scan::{MembersAsWritten, ObjectScan};

/// A body that cannot be served. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What is wrong, where, and what to do.
    pub message: String,
    /// The member at fault, where it is one.
    pub param: Option<&'static str>,
}

/// The top level of a JSON request. Members that the gateway does not read keep their bytes and their order, so
/// that fields nobody here has heard of reach the provider.
#[derive(Debug)]
pub struct ModelRequest {
    members: MembersAsWritten,
    /// The model asked for.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client wants the stream's usage chunk.
    pub wants_usage: bool,
    /// Further models that the provider may take instead (OpenRouter's `models`, LiteLLM's `fallbacks`).
    pub other_models: Vec<String>,
}

/// The members that the gateway may rewrite. Doubled ones are sent once, with the value that was read, so that
/// gateway and provider cannot read the request differently.
const READ_MEMBERS: [&str; 5] = ["model", "models", "fallbacks", "stream", "stream_options"];

/// The longest name of a model, in bytes. Names are searched and compared with patterns; the longest real ones are
/// paths of fine-tuned models, of some 200.
pub const MAX_MODEL_BYTES: usize = 512;

/// A character as JSON writes it takes six bytes at most for each of UTF-8's.
const MAX_WRITTEN_MODEL_BYTES: usize = 6 * MAX_MODEL_BYTES + 2;

/// The longest value that the gateway reads itself, in bytes as written.
const MAX_READ_BYTES: usize = 16 * 1024;

/// Two names of one thing: the older, and the one that reasoning models want.
const MAX_TOKENS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// A body that is being read, in steps.
#[derive(Debug)]
pub struct RequestScan {
    scan: ObjectScan,
    operation: Operation,
}

impl RequestScan {
    /// For a body.
    pub fn new(body: Bytes, operation: Operation) -> Self {
        Self {
            scan: ObjectScan::new(body),
            operation,
        }
    }

    /// Reads on; `None` where there is more to read, and others should have their turn before.
    ///
    /// # Errors
    /// [`RequestError`] where it is no JSON object, or `model`, `stream` or `stream_options` cannot be used.
    pub fn step(&mut self) -> Option<Result<ModelRequest, RequestError>> {
        let members = self.scan.step()?.map_err(|error| RequestError {
            message: if self.scan.is_blank() {
                "The request has no body. Send a JSON object.".to_owned()
            } else {
                format!("The request body is not a JSON object that can be read: {error}.")
            },
            param: None,
        });
        Some(members.and_then(|members| ModelRequest::of(members, self.operation)))
    }
}

impl ModelRequest {
    /// Reads a body in one go.
    ///
    /// # Errors
    /// As [`RequestScan::step`].
    pub fn parse(body: &Bytes, operation: Operation) -> Result<Self, RequestError> {
        let mut scan = RequestScan::new(body.clone(), operation);
        loop {
            if let Some(read) = scan.step() {
                return read;
            }
        }
    }

    fn of(mut members: MembersAsWritten, operation: Operation) -> Result<Self, RequestError> {
        let own = || READ_MEMBERS.into_iter().chain(MAX_TOKENS);
        members.retain(|(key, _)| !own().any(|name| is_misspelt(key, name)));
        for name in READ_MEMBERS {
            keep_last(&mut members, name);
        }
        let member = |name: &str| find(&members, name);
        let model = match member("model").map(read_model) {
            Some(Ok(model)) if model.len() > MAX_MODEL_BYTES => {
                return Err(wrong(
                    "model",
                    "`model` is longer than 512 bytes. Send the name of a model alone.",
                ));
            }
            Some(Ok(model)) if !model.is_empty() => model,
            Some(_) => {
                return Err(wrong(
                    "model",
                    "`model` must be a string that names a model.",
                ));
            }
            None => {
                return Err(wrong(
                    "model",
                    "`model` is missing. Name the model to be used.",
                ));
            }
        };
        let stream = match member("stream").map(read_small::<Option<bool>>) {
            Some(Ok(stream)) => stream.unwrap_or(false),
            Some(Err(_)) => return Err(wrong("stream", "`stream` must be true or false.")),
            None => false,
        };
        let options = member("stream_options").map(read_small::<Option<StreamOptions>>);
        let wants_usage = match options {
            Some(Ok(options)) => options
                .and_then(|options| options.include_usage)
                .unwrap_or(false),
            Some(Err(_)) => {
                return Err(wrong(
                    "stream_options",
                    "`stream_options` must be an object whose `include_usage` is true or false.",
                ));
            }
            None => false,
        };
        let mut other_models = Vec::new();
        for name in OTHERS {
            let Some(value) = member(name) else {
                continue;
            };
            match read_small(value).ok().and_then(|value| names_in(&value)) {
                Some(names) => other_models.extend(names),
                None if name == "models" => {
                    return Err(wrong(
                        "models",
                        "`models` must be a list of names of models.",
                    ));
                }
                None => {
                    return Err(wrong(
                        "fallbacks",
                        "`fallbacks` must be a list of names of models, or of objects that name one.",
                    ));
                }
            }
        }
        if other_models
            .iter()
            .any(|model| model.len() > MAX_MODEL_BYTES)
        {
            return Err(wrong(
                "models",
                "`models` or `fallbacks` has a name that is longer than 512 bytes.",
            ));
        }
        Ok(Self {
            members,
            other_models,
            model,
            stream: stream && operation.streams(),
            wants_usage,
        })
    }

    /// Whether it refers to something that a provider keeps, or is to keep until the client asks for it: of another
    /// provider that would be asked in vain.
    pub fn is_bound(&self) -> bool {
        const REFERENCES: [&str; 3] = ["previous_response_id", "conversation", "prompt"];
        const WITHIN: [&[u8]; 4] = [
            b"\"item_reference\"",
            b"\"file_id\"",
            b"\"vector_store_ids\"",
            b"\"container\"",
        ];
        let is_set = |name: &&str| {
            self.member(name)
                .is_some_and(|value| value.as_ref() != b"null")
        };
        let refers = |name: &str| {
            let value = self.member(name).map(AsRef::as_ref).unwrap_or_default();
            WITHIN
                .iter()
                .any(|sign| memchr::memmem::find(value, sign).is_some())
        };
        REFERENCES.iter().any(is_set) || refers("input") || refers("tools") || self.is_background()
    }

    /// Whether its answer is made later, and fetched by another call.
    pub fn is_background(&self) -> bool {
        self.member("background")
            .is_some_and(|value| value.as_ref() == b"true")
    }

    /// Puts in what a route wants of the parameters. A length of the output is one of chats and text completions alone.
    pub fn apply(&mut self, parameters: &Parameters, operation: Operation) {
        let set_here = || {
            let caps = parameters.caps.keys();
            let forced = parameters.forced.keys();
            parameters.defaults.keys().chain(caps).chain(forced)
        };
        self.members
            .retain(|(key, _)| !set_here().any(|name| is_misspelt(key, name)));
        let fits = |name: &str| operation.streams() || !MAX_TOKENS.contains(&name);
        for (name, value) in &parameters.defaults {
            let is_there = synonyms(name).any(|name| self.member(name).is_some());
            if fits(name) && !is_there {
                self.set(name, value);
            }
        }
        for (name, cap) in &parameters.caps {
            if fits(name) {
                self.cap(name, cap);
            }
        }
        for (name, value) in &parameters.forced {
            if value.is_null() {
                self.members
                    .retain(|(key, _)| synonyms(name).all(|other| key != other));
            } else if fits(name) {
                self.members
                    .retain(|(key, _)| key == name || synonyms(name).all(|other| key != other));
                self.set(name, value);
            }
        }
    }

    fn cap(&mut self, name: &str, cap: &Number) {
        let limit = cap.as_f64().unwrap_or(f64::MAX);
        // To some engines a negative number is no limit at all; to a penalty it is one like any other.
        let least = if name.ends_with("_penalty") {
            f64::NEG_INFINITY
        } else {
            0.0
        };
        let is_within = |value: &Bytes| {
            read_small::<f64>(value).is_ok_and(|number| (least..=limit).contains(&number))
        };
        let mut is_there = false;
        for name in synonyms(name) {
            keep_last(&mut self.members, name);
            if let Some(value) = self.member(name) {
                is_there = true;
                if !is_within(value) {
                    self.set(name, &Value::Number(cap.clone()));
                }
            }
        }
        if !is_there {
            self.set(name, &Value::Number(cap.clone()));
        }
    }

    /// All of them, in order.
    pub(crate) fn members(&self) -> &[(String, Bytes)] {
        &self.members
    }

    fn member(&self, name: &str) -> Option<&Bytes> {
        find(&self.members, name)
    }

    /// In the place of the first of its name, or at the end.
    fn set(&mut self, name: &str, value: &Value) {
        let value = Bytes::from(value.to_string());
        keep_last(&mut self.members, name);
        match self.members.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.members.push((name.to_owned(), value)),
        }
    }
}

/// The name; of one that is too long only its beginning, enough to tell.
fn read_model(value: &Bytes) -> serde_json::Result<String> {
    if value.len() > MAX_WRITTEN_MODEL_BYTES && value.starts_with(b"\"") {
        return Ok(" ".repeat(MAX_MODEL_BYTES.saturating_add(1)));
    }
    read_small(value)
}

/// A value that the gateway reads itself. What is longer than any of these is not read, but taken for something else.
fn read_small<'a, T: serde::Deserialize<'a>>(value: &'a Bytes) -> serde_json::Result<T> {
    let read = value.get(..MAX_READ_BYTES.min(value.len()));
    serde_json::from_slice(read.unwrap_or_default())
}

fn find<'a>(members: &'a MembersAsWritten, name: &str) -> Option<&'a Bytes> {
    let found = members.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value)
}

/// A parameter's names: its own, and another for the same thing.
fn synonyms(name: &str) -> impl Iterator<Item = &str> {
    let other = MAX_TOKENS
        .into_iter()
        .filter(move |other| MAX_TOKENS.contains(&name) && *other != name);
    std::iter::once(name).chain(other)
}

/// Whether readers that do not mind case (Go's `encoding/json`) take a member of this name for `name`, though the
/// gateway does not: theirs would be a request that it has neither routed nor capped.
fn is_misspelt(key: &str, name: &str) -> bool {
    if key == name {
        return false;
    }
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(name);
    }
    // The two letters beyond ASCII that are one with an ASCII letter once case is gone.
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars().map(fold))
}

/// Of several members of one name the last one is what readers take.
fn keep_last(members: &mut MembersAsWritten, name: &str) {
    let last = members.iter().rposition(|(key, _)| key == name);
    let mut index: usize = 0;
    members.retain(|(key, _)| {
        let keep = key != name || Some(index) == last;
        index = index.saturating_add(1);
        keep
    });
}

#[derive(serde::Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

fn wrong(param: &'static str, message: &str) -> RequestError {
    RequestError {
        message: message.to_owned(),
        param: Some(param),
    }
}

//! What a provider says went wrong, however it writes it, and the same in OpenAI's form.
//!
//! One reader for error answers, documents that came with 200, and chunks of streams. Forms it knows, and who writes
//! them:
//!
//! | form | written by |
//! | --- | --- |
//! | `{"error": {"message", "type", "param", "code"}}` | OpenAI and most others; numbers as codes: OpenRouter, Gemini |
//! | `{"error": "text"}`, with `error_type` or `code` beside it | Ollama, llama.cpp, TGI, TEI, xAI |
//! | `[{"error": {…}}]` | Gemini's OpenAI endpoint |
//! | `{"errors": [{"message", "code"}]}` | Cloudflare, Cerebras |
//! | `{"object": "error", "message", "type", "code"}` | vLLM, SGLang, FastChat |
//! | `{"code", "message", "request_id"}`, `{"code", "msg"}` | Model Studio, SiliconFlow, Zhipu |
//! | `{"error_code", "error_msg"}`, `{"text", "error_code"}` | Qianfan; FastChat |
//! | `{"detail": "text"}`, `{"detail": [{"loc", "msg", "type"}]}`, with a `title` | FastAPI; Replicate (RFC 9457) |
//! | `{"base_resp": {"status_code", "status_msg"}}` | MiniMax |
//! | `{"Response": {"Error": {"Code", "Message"}}}` | Tencent Cloud |

mod shapes;

use http::StatusCode;
use serde_json::{Map, Value};
use spillway_sse::Reader;
use spillway_surface::openai_error;

use shapes::{bare, in_base_resp, in_list, in_response, is_fine_alone, message, named, vendor_of};
use spillway_json as json;

/// The longest error that is read, in bytes. Whatever is longer repeats the request; of it only a beginning is told.
pub(crate) const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Members that hold the words of an error, the most telling first.
const MESSAGES: [&str; 9] = [
    "message",
    "msg",
    "error_msg",
    "errmsg",
    "error_message",
    "status_msg",
    "Message",
    "detail",
    "error_description",
];

const CODES: [&str; 6] = [
    "code",
    "error_code",
    "errcode",
    "status_code",
    "Code",
    "status",
];

const TYPES: [&str; 2] = ["type", "error_type"];

/// Codes that say that all is well.
const FINE: [&str; 5] = ["0", "200", "success", "ok", "succeeded"];

/// What a provider says went wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UpstreamError {
    /// Its error as OpenAI would name the members, as far as there are any.
    error: Map<String, Value>,
    /// The status that it names.
    pub status: Option<u16>,
    /// Whose numbers its code is one of, as its form tells: the same number means different things to different vendors.
    vendor: &'static str,
}

impl UpstreamError {
    /// Out of an error answer. `None` where it cannot be read, or is longer than [`MAX_ERROR_BYTES`].
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        if body.len() > MAX_ERROR_BYTES {
            return None;
        }
        match json::value(body) {
            Some(Value::String(text)) => Self::of_text(&text),
            Some(document) => Self::of(document),
            None => in_event(body),
        }
    }

    /// In words that are in no form.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self {
            error: Map::from_iter([("message".to_owned(), text.into())]),
            status: None,
            vendor: "",
        })
    }

    /// Out of a document. `None` where it tells of no error.
    pub(crate) fn of(document: Value) -> Option<Self> {
        let mut document = match document {
            Value::Array(list) => return list.into_iter().find_map(Self::of),
            Value::Object(document) => document,
            _ => return None,
        };
        let beside = Beside::of(&document);
        let vendor = vendor_of(&document);
        let found = match document.remove("error") {
            Some(Value::Object(error)) if !error.is_empty() => Some(error),
            Some(Value::String(text)) if !text.trim().is_empty() => Some(message(text.into())),
            Some(list @ Value::Array(_)) => return Self::of(list).map(|error| error.with(beside)),
            _ => None,
        };
        let error = found
            .or_else(|| in_list(&mut document, "errors"))
            .or_else(|| in_base_resp(&mut document))
            .or_else(|| in_response(&mut document))
            .or_else(|| bare(document))?;
        let error = named(error);
        if error.values().all(|value| !is_said(value)) || is_fine_alone(&error) {
            return None;
        }
        Some(
            Self {
                error,
                status: None,
                vendor,
            }
            .with(beside),
        )
    }

    fn with(mut self, beside: Beside) -> Self {
        for (name, value) in [("code", beside.code), ("type", beside.kind)] {
            if let Some(value) = value {
                self.error.entry(name).or_insert(value);
            }
        }
        self.status = self
            .status
            .or_else(|| self.error.get("code").and_then(status_in))
            .or_else(|| self.error.get("status").and_then(status_in))
            .or_else(|| self.error.get("http_code").and_then(status_in))
            .or(beside.status);
        self
    }

    /// Codes, types and reasons, in lower case: its own and those of errors within it.
    pub(crate) fn codes(&self) -> Vec<String> {
        const PLACES: [&str; 9] = [
            "/code",
            "/type",
            "/status",
            "/reason",
            "/error_type",
            "/innererror/code",
            "/details/0/reason",
            "/metadata/error_type",
            "/extError/code",
        ];
        let at = |place: &str| {
            let (first, rest) = place.strip_prefix('/')?.split_once('/').unzip();
            let first = first.or(place.strip_prefix('/'))?;
            let value = self.error.get(first)?;
            match rest {
                Some(rest) => value.pointer(&format!("/{rest}")),
                None => Some(value),
            }
        };
        let codes = PLACES.into_iter().filter_map(at).filter_map(written);
        let told = |code: String| {
            if code.bytes().all(|byte| byte.is_ascii_digit()) {
                format!("{} {code}", self.vendor)
            } else {
                code.to_lowercase()
            }
        };
        codes.map(told).collect()
    }

    /// The words, and those of the provider behind the provider (OpenRouter).
    pub(crate) fn message(&self) -> String {
        let told = match self.error.get("message") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let raw = self.error.get("metadata").and_then(|it| it.get("raw"));
        match raw.and_then(Value::as_str) {
            Some(raw) => format!("{told}\n{raw}"),
            None => told,
        }
    }

    /// The error alone, as JSON.
    pub(crate) fn into_json(self) -> String {
        Value::Object(self.error).to_string()
    }

    /// As OpenAI would write it: the provider's own message, type and code, and whatever else stands in the error.
    pub(crate) fn into_document(self, status: StatusCode) -> Value {
        let mut error = self.error;
        let message = match error.remove("message") {
            Some(Value::String(message)) if !message.trim().is_empty() => message,
            None | Some(Value::Null | Value::String(_)) => {
                format!("The model provider answered {status}.")
            }
            Some(other) => other.to_string(),
        };
        let ours = openai_error(status, "", &message);
        let kind = ours.pointer("/error/type").cloned().unwrap_or_default();
        error.insert("message".to_owned(), message.into());
        if !error.get("type").is_some_and(Value::is_string) {
            error.insert("type".to_owned(), kind);
        }
        for name in ["param", "code"] {
            let value = error.remove(name).and_then(|value| written(&value));
            error.insert(name.to_owned(), value.map_or(Value::Null, Value::String));
        }
        Value::Object(Map::from_iter([("error".to_owned(), Value::Object(error))]))
    }
}

/// A provider's error document as OpenAI would write it. `None` where it is no error that can be read.
pub(crate) fn in_one_form(status: StatusCode, body: &[u8]) -> Option<Value> {
    UpstreamError::read(body).map(|error| error.into_document(status))
}

/// Model Studio answers a stream request with an event even where the status is an error's; a comment in it names the
/// true status.
fn in_event(body: &[u8]) -> Option<UpstreamError> {
    let mut reader = Reader::with_limit(MAX_ERROR_BYTES.saturating_add(1));
    reader.push(body).and_then(|()| reader.finish()).ok()?;
    let event = reader.next_event()?;
    let mut error = json::value(&event.data).and_then(UpstreamError::of)?;
    let text = String::from_utf8_lossy(body);
    let named = text
        .lines()
        .find_map(|line| line.strip_prefix(":HTTP_STATUS/"));
    let named = named.and_then(|status| status_in(&status.trim().into()));
    error.status = named.or(error.status);
    Some(error)
}

/// What stands beside the error in its document.
struct Beside {
    code: Option<Value>,
    kind: Option<Value>,
    status: Option<u16>,
}

impl Beside {
    fn of(document: &Map<String, Value>) -> Self {
        let is_word = |value: &&Value| value.is_string() || value.is_number();
        let first = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| document.get(*name));
            values.find(is_word).cloned()
        };
        Self {
            // The type of a whole document is "error" for Anthropic, which says nothing.
            kind: first(&TYPES).filter(|kind| kind != "error"),
            status: CODES
                .iter()
                .filter_map(|name| document.get(*name))
                .find_map(status_in),
            code: first(&CODES[..5]),
        }
    }
}

fn is_said(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Number(_) => true,
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

fn is_fine(code: Option<&Value>) -> bool {
    code.is_none_or(|code| {
        code.is_null()
            || written(code).is_some_and(|code| FINE.contains(&code.to_lowercase().as_str()))
    })
}

fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A status of an error that stands there as a number, or as its digits.
fn status_in(value: &Value) -> Option<u16> {
    let status = written(value)?.parse().ok()?;
    (400..=599).contains(&status).then_some(status)
}

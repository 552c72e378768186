//! A model vendor that speaks OpenAI's API.

use std::ops::Deref;

use serde_json::{Value, json};

use crate::{
    Event, EventStream, RecordedRequest, Reply, Service, Standin, StandinError,
    json::at,
    surface::{Answer, Surface},
};

mod chat;
mod embedding;

pub use chat::{Usage, chat_text, usage};

/// What a stand-in model vendor is.
#[derive(Debug, Clone, Default)]
pub struct ModelOptions {
    /// Stands in every answer as `system_fingerprint`, so that a test sees who served.
    pub name: String,
    /// The keys taken as `Authorization: Bearer …`. Empty: none is needed.
    pub api_keys: Vec<String>,
    /// What `GET /v1/models` lists. Chats are answered whatever model they ask for.
    pub models: Vec<String>,
}

/// A model vendor that speaks OpenAI's API below `/v1`: chat and text completions (streamed and not), embeddings
/// and the list of models. Its text names the model that was asked for and repeats the last user message; see
/// [`chat_text`] and [`usage`].
#[derive(Debug)]
pub struct StandinModel(Standin);

impl StandinModel {
    /// Starts one that needs no key.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn start(name: &str) -> Result<Self, StandinError> {
        Self::start_with(ModelOptions {
            name: name.to_owned(),
            ..ModelOptions::default()
        })
    }

    /// Starts one.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn start_with(options: ModelOptions) -> Result<Self, StandinError> {
        Standin::start(Vendor(options)).map(Self)
    }

    /// `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.url())
    }
}

impl Deref for StandinModel {
    type Target = Standin;

    fn deref(&self) -> &Standin {
        &self.0
    }
}

#[derive(Debug)]
struct Vendor(ModelOptions);

impl Vendor {
    fn refusal(&self, request: &RecordedRequest) -> Option<Reply> {
        let given = request.header("authorization").unwrap_or_default();
        let known = |key: &String| given == format!("Bearer {key}");
        let refused = !self.0.api_keys.is_empty() && !self.0.api_keys.iter().any(known);
        refused.then(|| error(401, "invalid_api_key", "Incorrect API key provided."))
    }
}

impl Surface for Vendor {
    fn service(&self) -> Service {
        Service::Model
    }

    fn answer(&self, request: &RecordedRequest, stream: &EventStream) -> Answer {
        if let Some(refusal) = self.refusal(request) {
            return Answer::Whole(refusal);
        }
        let streamed = at(&request.json(), "/stream") == true;
        match (request.method.as_str(), request.path(), streamed) {
            ("POST", "/v1/chat/completions", true) => {
                Answer::Events(chat::chat_events(&self.0.name, &request.json(), stream))
            }
            ("POST", "/v1/completions", true) => Answer::Events(chat::completion_events(
                &self.0.name,
                &request.json(),
                stream,
            )),
            _ => Answer::Whole(self.answer_unstreamed(request)),
        }
    }

    fn answer_unstreamed(&self, request: &RecordedRequest) -> Reply {
        let (name, body) = (&self.0.name, request.json());
        match (request.method.as_str(), request.path()) {
            (_, _) if self.refusal(request).is_some() => self.error(request, 401),
            ("POST", _) if !body.is_object() => self.error(request, 400),
            ("POST", "/v1/chat/completions") => Reply::json(200, &chat::chat(name, &body)),
            ("POST", "/v1/completions") => Reply::json(200, &chat::completion(name, &body)),
            ("POST", "/v1/embeddings") => Reply::json(200, &embedding::embeddings(&body)),
            ("GET", "/v1/models") => Reply::json(200, &models(&self.0.models)),
            _ => self.error(request, 404),
        }
        .header("X-Request-Id", &format!("req-{name}"))
    }

    fn error(&self, _: &RecordedRequest, status: u16) -> Reply {
        let (code, message) = match status {
            400 => ("invalid_value", "The stand-in does not like this request."),
            401 => ("invalid_api_key", "Incorrect API key provided."),
            404 => ("unknown_url", "There is nothing here."),
            429 => ("rate_limit_exceeded", "Too many requests at the stand-in."),
            529 => ("overloaded_error", "The stand-in is overloaded."),
            _ => ("scripted", "The stand-in was told to fail."),
        };
        error(status, code, message)
    }

    fn error_event(&self) -> Event {
        Event::data(error_body(500, "scripted", "The engine stopped.").to_string())
    }
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &error_body(status, code, message))
}

fn error_body(status: u16, code: &str, message: &str) -> Value {
    let kind = match status {
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn models(names: &[String]) -> Value {
    let entry = |name: &String| json!({"id": name, "object": "model", "created": CREATED, "owned_by": "stand-in"});
    json!({"object": "list", "data": names.iter().map(entry).collect::<Vec<_>>()})
}

/// 2026-01-01, the date of every answer.
const CREATED: u64 = 1_767_225_600;

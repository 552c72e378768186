//! A model vendor that speaks Anthropic's Messages API.

use std::ops::Deref;

use serde_json::{Value, json};

use crate::{
    Event, EventStream, RecordedRequest, Reply, Service, Standin, StandinError,
    json::at,
    surface::{Answer, Surface},
};

/// The API's version that it takes.
const VERSION: &str = "2023-06-01";

/// A vendor with `POST /v1/messages`, streamed and not, and `GET /v1/models`. Its text repeats the last text of the last
/// message; where tools are offered it calls the first of them. It refuses what Anthropic refuses: a missing or wrong
/// key or version, no `max_tokens`, members that it does not know, empty messages and texts, roles out of turn.
#[derive(Debug)]
pub struct StandinAnthropic(Standin);

impl StandinAnthropic {
    /// Starts one that takes this key.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn start(api_key: &str) -> Result<Self, StandinError> {
        Standin::start(Vendor(api_key.to_owned())).map(Self)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        self.url()
    }
}

impl Deref for StandinAnthropic {
    type Target = Standin;

    fn deref(&self) -> &Standin {
        &self.0
    }
}

#[derive(Debug)]
struct Vendor(String);

/// Members of a request, by Anthropic's API reference.
const MEMBERS: [&str; 18] = [
    "model",
    "messages",
    "max_tokens",
    "cache_control",
    "container",
    "inference_geo",
    "metadata",
    "output_config",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

impl Vendor {
    fn refusal(&self, request: &RecordedRequest) -> Option<Reply> {
        if request.header("x-api-key").as_deref() != Some(self.0.as_str()) {
            return Some(error(401, "authentication_error", "invalid x-api-key"));
        }
        if request.header("anthropic-version").as_deref() != Some(VERSION) {
            let words = "anthropic-version: header is required";
            return Some(error(400, "invalid_request_error", words));
        }
        None
    }

    fn message(request: &RecordedRequest) -> Result<Value, String> {
        let body = request.json();
        let members = body.as_object().ok_or("the body is no object")?;
        if let Some(unknown) = members
            .keys()
            .find(|name| !MEMBERS.contains(&name.as_str()))
        {
            return Err(format!("{unknown}: Extra inputs are not permitted"));
        }
        if !at(&body, "/max_tokens").is_u64() {
            return Err("max_tokens: Field required".to_owned());
        }
        let messages = at(&body, "/messages").as_array().cloned();
        let messages = messages.filter(|all| !all.is_empty());
        let messages = messages.ok_or("messages: at least one message is required")?;
        for message in &messages {
            let content = at(message, "/content");
            let is_empty_text = |block: &Value| at(block, "/text") == "";
            let is_empty = content
                .as_array()
                .is_some_and(|blocks| blocks.is_empty() || blocks.iter().any(is_empty_text));
            if content.is_null() || content == "" || is_empty {
                return Err("messages: text content blocks must be non-empty".to_owned());
            }
            if !["user", "assistant"]
                .iter()
                .any(|role| at(message, "/role") == *role)
            {
                return Err("messages: Unexpected role".to_owned());
            }
        }
        let last = messages
            .last()
            .map(|message| at(message, "/content").clone());
        let texts = last.iter().filter_map(Value::as_array).flatten();
        let text = texts
            .filter_map(|block| at(block, "/text").as_str())
            .next_back()
            .unwrap_or("(no text)")
            .to_owned();
        let mut content = vec![json!({"type": "text", "text": format!("You said: {text}")})];
        let tool = at(&body, "/tools/0/name");
        if tool.is_string() {
            content.push(json!({"type": "tool_use", "id": "toolu_1", "name": tool, "input": {"city": "Ulm"}}));
        }
        Ok(json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": at(&body, "/model"), "content": content,
            "stop_reason": if tool.is_string() { "tool_use" } else { "end_turn" }, "stop_sequence": null,
            "usage": {"input_tokens": 11, "cache_read_input_tokens": 4, "output_tokens": 6},
        }))
    }
}

/// The events of a message, its texts and arguments in two pieces each.
fn events(message: &Value) -> Vec<Event> {
    let named = |data: Value| {
        let name = at(&data, "/type").as_str().map(str::to_owned);
        Event {
            name,
            data: Some(data.to_string()),
        }
    };
    let mut start = message.clone();
    if let Some(members) = start.as_object_mut() {
        members.insert("content".to_owned(), json!([]));
        members.insert("stop_reason".to_owned(), Value::Null);
    }
    let mut all = vec![
        json!({"type": "message_start", "message": start}),
        json!({"type": "ping"}),
    ];
    let blocks = at(message, "/content")
        .as_array()
        .cloned()
        .unwrap_or_default();
    for (index, block) in blocks.iter().enumerate() {
        let delta =
            |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let (begun, text) = if at(block, "/type") == "text" {
            (
                json!({"type": "text", "text": ""}),
                at(block, "/text").as_str().unwrap_or_default().to_owned(),
            )
        } else {
            let mut begun = block.clone();
            if let Some(members) = begun.as_object_mut() {
                members.insert("input".to_owned(), json!({}));
            }
            (begun, at(block, "/input").to_string())
        };
        all.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
        for piece in [first, second] {
            all.push(if at(block, "/type") == "text" {
                delta(json!({"type": "text_delta", "text": piece}))
            } else {
                delta(json!({"type": "input_json_delta", "partial_json": piece}))
            });
        }
        all.push(json!({"type": "content_block_stop", "index": index}));
    }
    all.push(json!({"type": "message_delta",
        "delta": {"stop_reason": at(message, "/stop_reason"), "stop_sequence": null},
        "usage": {"output_tokens": 6}}));
    all.push(json!({"type": "message_stop"}));
    all.into_iter().map(named).collect()
}

impl Surface for Vendor {
    fn service(&self) -> Service {
        Service::Model
    }

    fn answer(&self, request: &RecordedRequest, _: &EventStream) -> Answer {
        let is_streamed = at(&request.json(), "/stream") == true;
        let is_messages = (request.method.as_str(), request.path()) == ("POST", "/v1/messages");
        if is_streamed && is_messages && self.refusal(request).is_none() {
            return match Self::message(request) {
                Ok(message) => Answer::Events(events(&message)),
                Err(words) => Answer::Whole(error(400, "invalid_request_error", &words)),
            };
        }
        Answer::Whole(self.answer_unstreamed(request))
    }

    fn answer_unstreamed(&self, request: &RecordedRequest) -> Reply {
        if let Some(refusal) = self.refusal(request) {
            return refusal;
        }
        match (request.method.as_str(), request.path()) {
            ("POST", "/v1/messages") => match Self::message(request) {
                Ok(message) => Reply::json(200, &message),
                Err(words) => error(400, "invalid_request_error", &words),
            },
            ("GET", "/v1/models") => Reply::json(200, &json!({"data": [], "has_more": false})),
            _ => self.error(request, 404),
        }
        .header("request-id", "req_stand_in")
    }

    fn error(&self, _: &RecordedRequest, status: u16) -> Reply {
        let kind = match status {
            400 => "invalid_request_error",
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        error(status, kind, "The stand-in was told to fail.")
    }

    fn error_event(&self) -> Event {
        let data = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        Event {
            name: Some("error".to_owned()),
            data: Some(data.to_string()),
        }
    }
}

fn error(status: u16, kind: &str, words: &str) -> Reply {
    let body = json!({"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_stand_in"});
    Reply::json(status, &body)
}

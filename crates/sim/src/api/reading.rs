//! What a client reads out of an answer.

use serde_json::Value;
use spillway_platform_sim::SimAnswer;

use crate::plan::Api;

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// What the client was after, as far as it came.
    pub content: String,
    /// Whether what should be there at the end was there.
    pub has_end: bool,
    /// Whether it tells of an error.
    pub has_error: bool,
}

/// Reads an answer with 200 as a client of this API would.
pub fn read(api: Api, answer: &SimAnswer) -> Reading {
    let text = answer.text();
    match api {
        Api::ChatStream => events(&text, |event| event.pointer("/choices/0/delta/content")),
        Api::RunStream => events(&text, |event| event.get("answer")),
        Api::Nowhere => Reading::default(),
        // One document, whose numbers are not this request's.
        Api::Metrics => Reading {
            has_end: text.is_empty() || text.ends_with('\n'),
            ..Reading::default()
        },
        Api::Page => Reading {
            has_end: text.ends_with("</html>"),
            content: text,
            has_error: false,
        },
        _ => document(api, &text),
    }
}

fn document(api: Api, text: &str) -> Reading {
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        return Reading::default();
    };
    let pointer = match api {
        Api::Chat => "/choices/0/message/content",
        Api::Embedding => "/data/0/embedding/0",
        Api::Models => "/object",
        Api::File | Api::Upload | Api::Response => "/id",
        Api::Completion => "/choices/0/text",
        Api::Ready => "/status",
        Api::Limits => "/complete",
        Api::Run => "/answer",
        _ => "/records/0/content",
    };
    let content = match document.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    Reading {
        content,
        has_end: true,
        has_error: document.get("error").is_some(),
    }
}

fn events(text: &str, content_of: impl Fn(&Value) -> Option<&Value>) -> Reading {
    let mut reading = Reading::default();
    for block in text.split("\n\n") {
        let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) else {
            continue;
        };
        if data == "[DONE]" {
            reading.has_end = true;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            continue;
        };
        let name = event.get("event").and_then(Value::as_str);
        reading.has_error |= event.get("error").is_some() || name == Some("error");
        reading.has_end |= name == Some("message_end");
        let content = content_of(&event).and_then(Value::as_str);
        reading.content.push_str(content.unwrap_or_default());
    }
    reading
}

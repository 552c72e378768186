//! A provider's oddities, in a stream and in a document.

use serde_json::{Value, json};
use spillway_platform::Headers;
use spillway_platform_sim::{PeerStep, ReceivedRequest};

use super::openai::{chat_stream, event};
use super::{Answer, PeerScript};
use crate::content::pieces;
use crate::plan::Oddity;

/// What such a provider does with a chat; `None`: it does well.
pub fn script(oddity: Oddity, asked: &ReceivedRequest, number: u32) -> Option<PeerScript> {
    let has = |text: &str| memchr::memmem::find(&asked.body, text.as_bytes()).is_some();
    if !asked.path_and_query.ends_with("/chat/completions") {
        return None;
    }
    let refusal = match oddity {
        Oddity::TooLong => Some((
            "This model's maximum context length is 4096 tokens.",
            "context_length_exceeded",
        )),
        Oddity::DeadKey => Some((
            "API key not valid. Please pass a valid API key.",
            "INVALID_ARGUMENT",
        )),
        Oddity::Filtered => Some((
            "The response was filtered due to the prompt triggering a content management policy.",
            "content_filter",
        )),
        Oddity::RefusesStreamOptions if has("\"stream_options\"") => Some((
            "Unrecognized request argument supplied: stream_options",
            "unknown_parameter",
        )),
        Oddity::RefusesStreamOptions => return None,
        Oddity::Redirect => return Some(redirect()),
        _ => None,
    };
    if let Some((words, code)) = refusal {
        let error =
            json!({ "error": { "message": words, "type": "invalid_request_error", "code": code } });
        return Some(PeerScript::document(400, &error.to_string()));
    }
    if has("\"stream\":true") {
        let with_usage = has("\"include_usage\":true");
        Some(PeerScript::stream(stream(oddity, number, with_usage)))
    } else {
        document(oddity, number).map(|document| PeerScript::document(200, &document.to_string()))
    }
}

fn redirect() -> PeerScript {
    let mut headers = Headers::default();
    headers.append("location", "http://elsewhere:1/v1/chat/completions");
    headers.append("content-length", "0");
    PeerScript::begin(PeerStep::Head(307, headers))
}

/// As a document few of them can be told.
fn document(oddity: Oddity, number: u32) -> Option<Value> {
    let said = pieces(number).into_iter().next().unwrap_or_default();
    let (content, finish) = match oddity {
        Oddity::FailingFinish => (said, "network_error"),
        Oddity::FailingFinishAtOnce => (String::new(), "network_error"),
        Oddity::ErrorBesideChoices => {
            let error = json!({ "message": "the engine is gone", "code": 500 });
            return Some(json!({ "id": "1", "choices": [], "error": error }));
        }
        _ => return None,
    };
    Some(
        json!({ "id": "1", "object": "chat.completion", "model": "m", "choices": [{
        "index": 0, "finish_reason": finish, "message": { "role": "assistant", "content": content } }] }),
    )
}

fn stream(oddity: Oddity, number: u32, with_usage: bool) -> Vec<String> {
    let Answer {
        blocks, terminator, ..
    } = chat_stream(number, with_usage, "");
    let (first, words) = blocks.split_at(1);
    let half = words.get(..words.len() / 2).unwrap_or_default();
    let with_finish = |finish: &str| {
        words
            .iter()
            .map(|word| {
                word.replace(
                    "\"finish_reason\":null",
                    &format!("\"finish_reason\":\"{finish}\""),
                )
            })
            .collect()
    };
    let failing = event(
        &json!({ "id": "1", "object": "chat.completion.chunk", "model": "m",
        "choices": [{ "index": 0, "delta": {}, "finish_reason": "network_error" }] }),
    );
    let words: Vec<String> = match oddity {
        Oddity::StopsAllAlong => with_finish("stop"),
        Oddity::Chatter => words
            .iter()
            .flat_map(|word| [word.as_str(), ": still there\n\n", "data: null\n\n", "event: ping\ndata: ping\n\n"])
            .map(str::to_owned)
            .collect(),
        Oddity::Glued => words.iter().map(|word| word.replacen("\n\n", "\n", 1)).collect(),
        Oddity::FailingFinish => half.iter().cloned().chain([failing]).collect(),
        Oddity::FailingFinishAtOnce => vec![failing],
        Oddity::ErrorBesideChoices => {
            let error = json!({ "choices": [], "error": { "message": "the engine is gone", "code": 500 } });
            half.iter().cloned().chain([event(&error)]).collect()
        }
        Oddity::UsageTwice => words
            .iter()
            .map(|word| word.replace("\"finish_reason\":\"stop\"}]", "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5,\"total_tokens\":8}"))
            .collect(),
        _ => words.to_vec(),
    };
    first
        .iter()
        .cloned()
        .chain(words)
        .chain(terminator)
        .collect()
}

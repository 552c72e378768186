//! Knowledge APIs against engines that do what they are told, on time that passes only when everybody waits.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod admission;
mod failures;
mod ragflow;
mod records;
mod requests;
mod robustness;
mod scripted;

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use spillway_config::Gateway;
use spillway_knowledge::{
    KnowledgeApi, KnowledgeCatalogue, Retrieval, RetrievalOutcome, RetrievalReply,
};
use spillway_platform::{Clock, Headers, RequestHead};
use spillway_surface::Surface;
use spillway_telemetry::Reason;

use scripted::{ScriptedSender, Step, run};

const JSON: &str = "application/json";

/// As the normal form has them: RAGFlow, and an engine that speaks Dify's contract.
const GATEWAY: &str = r#"{"knowledge": [
    {"name": "handbook", "api_keys": ["key-1", "key-2"], "deadline": "4500ms",
     "backend": {"type": "ragflow", "base_url": "http://ragflow:9380", "api_key": "ragflow-secret",
                 "dataset_ids": ["d1", "d2"]}},
    {"name": "papers", "api_keys": ["key-1"], "log_queries": true,
     "backend": {"type": "dify_compatible", "base_url": "https://papers:8443/dify/", "api_key": "papers-secret"}},
    {"name": "open", "backend": {"type": "dify_compatible", "base_url": "http://open"}},
    {"name": "locked", "api_keys": [""], "backend": {"type": "dify_compatible", "base_url": "http://locked"}}
]}"#;

/// A reply in its form.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    reason: Reason,
    headers: Headers,
    body: Bytes,
    outcome: RetrievalOutcome,
    records: Option<u32>,
    query: Option<Box<str>>,
    detail: Option<Box<str>>,
}

impl From<RetrievalReply> for Answer {
    fn from(reply: RetrievalReply) -> Self {
        let rendered = Surface::Knowledge.render(*reply.local);
        Self {
            status: rendered.status,
            reason: rendered.reason,
            headers: rendered.headers,
            body: rendered.body,
            outcome: reply.outcome,
            records: reply.records,
            query: reply.query,
            detail: reply.detail,
        }
    }
}

fn catalogue() -> KnowledgeCatalogue {
    KnowledgeCatalogue::new(&serde_json::from_str::<Gateway>(GATEWAY).unwrap()).unwrap()
}

fn api<'c>(catalogue: &'c KnowledgeCatalogue, name: &str) -> &'c KnowledgeApi {
    catalogue
        .api(&format!("/knowledge/{name}/retrieval"))
        .unwrap()
}

fn head(method: &str, path: &str, authorization: Option<&str>) -> RequestHead {
    let mut headers = Headers::default();
    if let Some(value) = authorization {
        headers.append("authorization", value);
    }
    RequestHead {
        method: method.parse().unwrap(),
        scheme: "http".to_owned(),
        authority: "gateway".to_owned(),
        path_and_query: path.to_owned(),
        headers,
        peer: None,
    }
}

/// What Dify sends, with a threshold of 0.5.
fn query() -> Value {
    json!({
        "retrieval_setting": {"top_k": 3, "score_threshold": 0.5},
        "query": "What is new?", "knowledge_id": "d1",
    })
}

/// Serves `body` at the API `name` by an engine with this script.
fn serve(name: &str, body: &Value, script: Vec<Step>) -> (Answer, ScriptedSender) {
    serve_bytes(name, body.to_string().as_bytes(), vec![script])
}

fn serve_bytes(name: &str, body: &[u8], scripts: Vec<Vec<Step>>) -> (Answer, ScriptedSender) {
    let sender = ScriptedSender::new(scripts);
    let catalogue = catalogue();
    let retrieval = Retrieval {
        sender: &sender,
        clock: &sender.clock,
        api: api(&catalogue, name),
        arrived: sender.clock.now(),
    };
    let answer = run(&sender.clock, retrieval.serve(body));
    (answer.into(), sender)
}

fn body(answer: &Answer) -> Value {
    assert_eq!(answer.headers.text("content-type"), Some(JSON));
    serde_json::from_slice(&answer.body).unwrap()
}

/// Asserts that the answer is an error in the contract's form, and gives its code and message.
fn error(answer: &Answer) -> (u64, String) {
    let body = body(answer);
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    (
        body["error_code"].as_u64().unwrap(),
        body["error_msg"].as_str().unwrap().to_owned(),
    )
}

fn text(text: impl ToString) -> Step {
    Step::Bytes(text.to_string().into_bytes())
}

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

//! What clients send, and what they make of an answer.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use spillway_platform::SendError;
use spillway_platform_sim::{PeerStep, SimRequest};

use crate::content::{content, mark};
use crate::plan::{Api, BodyPlan, Kind, Persona, RequestPlan};
use crate::settings::{ADMIN_TOKEN, SIGNING_SECRET};

mod reading;

pub use reading::{Reading, read};

/// Names of what is asked for: a model, an app, an end user.
const SUBJECTS: [&str; 3] = ["one", "two", "three"];

/// One of these.
pub fn subject(number: u8) -> &'static str {
    let subjects = SUBJECTS.iter().cycle();
    subjects
        .copied()
        .nth(usize::from(number))
        .unwrap_or_default()
}

/// The name of a request, by which its record is found.
pub fn request_name(number: u32) -> String {
    format!("sim-{number}")
}

/// What a planned request looks like, sent at this date.
pub fn request(plan: &RequestPlan, date: Duration) -> SimRequest {
    let (path, document) = path_and_document(plan);
    let request = match document {
        None => SimRequest::new(Method::GET, &path),
        Some((media_type, text)) => SimRequest::new(Method::POST, &path)
            .header("content-type", media_type)
            .header("content-length", &text.len().to_string())
            .body(body(plan.body, text)),
    };
    let request = request.header("x-request-id", &request_name(plan.number));
    authorized(request, plan, &path, date)
}

fn path_and_document(plan: &RequestPlan) -> (String, Option<(&'static str, String)>) {
    let (mark, subject) = (mark(plan.number), subject(plan.subject));
    let text = format!("{mark}{}", "x".repeat(plan.padding));
    let json = |path: &str, document: Value| {
        (
            path.to_owned(),
            Some(("application/json", document.to_string())),
        )
    };
    let form = |path: &str| {
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{text}\r\n--b--\r\n"
        );
        (
            path.to_owned(),
            Some(("multipart/form-data; boundary=b", form)),
        )
    };
    let run = |mode: &str| {
        json(
            "/v1/chat-messages",
            json!({ "inputs": {}, "query": text, "user": subject, "response_mode": mode }),
        )
    };
    let retrieval = |name: &str| {
        json(
            &format!("/knowledge/{name}/retrieval"),
            json!({ "knowledge_id": "k", "query": text, "retrieval_setting": { "top_k": 3, "score_threshold": 0.1 } }),
        )
    };
    match plan.api {
        Api::Chat | Api::ChatStream => json(
            "/llm/v1/chat/completions",
            json!({ "model": subject, "messages": [{ "role": "user", "content": text }],
                    "stream": plan.api == Api::ChatStream }),
        ),
        Api::Completion => json(
            "/llm/v1/completions",
            json!({ "model": subject, "prompt": text }),
        ),
        Api::Response => json(
            "/llm/v1/responses",
            json!({ "model": subject, "input": text, "store": false }),
        ),
        Api::Ready => ("/_gateway/health/ready".to_owned(), None),
        Api::Metrics => ("/_gateway/metrics".to_owned(), None),
        Api::Limits => ("/_gateway/api/limits".to_owned(), None),
        Api::Embedding => json(
            "/llm/v1/embeddings",
            json!({ "model": subject, "input": text }),
        ),
        Api::Nowhere => ("/llm/v1/nowhere".to_owned(), None),
        Api::Models => ("/llm/v1/models".to_owned(), None),
        Api::File => form("/llm/v1/files"),
        Api::Run => run("blocking"),
        Api::RunStream => run("streaming"),
        Api::Page => (format!("/apps?{mark}"), None),
        Api::Upload => form("/v1/files/upload"),
        Api::Ragflow => retrieval("flow"),
        Api::Engine => retrieval("engine"),
    }
}

fn body(plan: BodyPlan, text: String) -> Vec<PeerStep> {
    let whole = Bytes::from(text);
    let (first, second) = {
        let mut second = whole.clone();
        let first = second.split_to(whole.len().div_ceil(2));
        (first, second)
    };
    match plan {
        BodyPlan::Whole => vec![PeerStep::Piece(whole)],
        BodyPlan::Slow(time) => vec![
            PeerStep::Piece(first),
            PeerStep::Wait(time),
            PeerStep::Piece(second),
        ],
        BodyPlan::Broken => vec![
            PeerStep::Piece(first),
            PeerStep::Fail(SendError::Reset("the client's end".to_owned())),
        ],
        BodyPlan::Garbled => {
            let mut garbled = whole.to_vec();
            if let Some(last) = garbled.last_mut() {
                *last = 0;
            }
            vec![PeerStep::Piece(garbled.into())]
        }
    }
}

fn authorized(request: SimRequest, plan: &RequestPlan, path: &str, date: Duration) -> SimRequest {
    let name = match plan.caller {
        Persona::Ada => "ada",
        Persona::Bob => "bob",
        Persona::Signer if plan.api.kind() == Kind::Model => {
            return signed(request, plan, path, date);
        }
        Persona::Signer => "ada",
        Persona::Nobody => "nobody",
    };
    match plan.api.kind() {
        Kind::Agent => request
            .header(
                "authorization",
                &format!("Bearer app-{}", subject(plan.subject)),
            )
            .header("x-app-id", subject(plan.subject)),
        Kind::Console if plan.api == Api::Limits => {
            request.header("authorization", &format!("Bearer {ADMIN_TOKEN}"))
        }
        Kind::Console => request,
        Kind::Model | Kind::Knowledge => {
            request.header("authorization", &format!("Bearer sk-caller-{name}"))
        }
    }
}

/// As the plugin *Higress* signs.
fn signed(request: SimRequest, plan: &RequestPlan, path: &str, date: Duration) -> SimRequest {
    let (method, media_type) = match plan.api {
        Api::Models | Api::Nowhere => ("GET", ""),
        Api::File => ("POST", "multipart/form-data; boundary=b"),
        _ => ("POST", "application/json"),
    };
    let (nonce, time) = (request_name(plan.nonce), date.as_millis().to_string());
    let text = format!(
        "{method}\n*/*\n\n{media_type}\n\nx-ca-key:ak\nx-ca-nonce:{nonce}\nx-ca-timestamp:{time}\n{path}"
    );
    let signature = Hmac::<Sha256>::new_from_slice(SIGNING_SECRET.as_bytes())
        .map(|mac| STANDARD.encode(mac.chain_update(text).finalize().into_bytes()))
        .unwrap_or_default();
    request
        .header("accept", "*/*")
        .header("x-ca-key", "ak")
        .header("x-ca-nonce", &nonce)
        .header("x-ca-timestamp", &time)
        .header(
            "x-ca-signature-headers",
            "x-ca-key,x-ca-nonce,x-ca-timestamp",
        )
        .header("x-ca-signature", &signature)
}

/// What a client should read out of a good answer.
pub fn expected(api: Api, number: u32) -> String {
    match api {
        Api::Embedding => number.to_string(),
        Api::File | Api::Upload => format!("file-{}", mark(number)),
        Api::Page => format!("<html>{}</html>", mark(number)),
        Api::Models => "list".to_owned(),
        Api::Ready => "ready".to_owned(),
        Api::Limits => "true".to_owned(),
        Api::Response => format!("resp-{}", mark(number)),
        Api::Metrics | Api::Nowhere => String::new(),
        _ => content(number),
    }
}

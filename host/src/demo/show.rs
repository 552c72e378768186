//! The requests that the demo shows, each with what came back and what the gateway did.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use spillway_standin::client::{Connection, Head, Incoming, Request};

use super::configuration::KEY;
use super::say;
use crate::log_lines::written_by_components;

/// Headers by which the gateway tells what it did.
const SHOWN_HEADERS: [&str; 4] = [
    "x-gateway-reason",
    "x-gateway-provider",
    "x-gateway-model",
    "x-gateway-attempts",
];

/// A demo shows the beginning of what came, not all of it.
const SHOWN_CHARACTERS: usize = 150;

/// The gateway writes its line of a request once that has ended, a moment after the client has the answer. No longer than
/// this is waited for it, so that it stands with its request.
const MAX_WAIT_FOR_LINE: Duration = Duration::from_secs(1);

pub(super) async fn all(gateway: SocketAddr) -> anyhow::Result<()> {
    step("the front end through the ingress", page(gateway)).await?;
    step("an app's stream through the ingress", app_stream(gateway)).await?;
    let what = "a model call whose first target is dead";
    step(what, dead_model(gateway)).await?;
    let what = "a streamed model call whose first target is dead";
    step(what, dead_model_streamed(gateway)).await?;
    step("a model call without a key", anonymous(gateway)).await?;
    step("a retrieval", knowledge(gateway)).await?;
    title(
        "7. An app that may be called once a minute, called twice; then another app",
        "GET /v1/info, X-App-Id: limited-app",
    );
    for (app, status, comment) in [
        ("limited-app", 200, "the first call of the minute"),
        (
            "limited-app",
            429,
            "refused by the limit; Retry-After says when",
        ),
        ("other-app", 200, "another app is free"),
    ] {
        step("a limit", limited(gateway, app, status, comment)).await?;
    }
    Ok(())
}

async fn step(
    what: &'static str,
    request: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let before = written_by_components();
    request.await.context(what)?;
    let line = async {
        while written_by_components() == before {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let _ = tokio::time::timeout(MAX_WAIT_FOR_LINE, line).await;
    Ok(())
}

async fn page(gateway: SocketAddr) -> anyhow::Result<()> {
    title("1. Dify's front end, through the ingress", "GET /apps");
    let request = Request::get("/apps").header("accept", "text/html");
    let answer = Connection::open(gateway)
        .await?
        .call(&request)
        .await?
        .finish()
        .await?;
    ensure!(
        answer.status() == 200,
        "status {} instead of 200",
        answer.status()
    );
    outcome(&answer.head, "forwarded to Dify's `web`");
    say(&format!("     {}", beginning(&answer.text())));
    Ok(())
}

async fn app_stream(gateway: SocketAddr) -> anyhow::Result<()> {
    title(
        "2. A Dify app's stream, through the ingress, event by event",
        "POST /v1/chat-messages",
    );
    let body = json!({ "inputs": {}, "query": "What is a spillway?", "response_mode": "streaming", "user": "demo" });
    let request = Request::json("/v1/chat-messages", &body).bearer("app-demo");
    let mut answer = Connection::open(gateway).await?.call(&request).await?;
    ensure!(
        answer.status() == 200,
        "status {} instead of 200",
        answer.status()
    );
    outcome(
        &answer.head,
        "forwarded to Dify's `api`, not a byte changed or held back",
    );
    let events = print_events(&mut answer).await?;
    ensure!(events > 1, "no stream of events came");
    Ok(())
}

async fn dead_model(gateway: SocketAddr) -> anyhow::Result<()> {
    title(
        "3. A model call; the first target is dead, nobody listens there",
        "POST /llm/v1/chat/completions",
    );
    let answer = Connection::open(gateway)
        .await?
        .call(&chat(false).bearer(KEY))
        .await?
        .finish()
        .await?;
    ensure!(
        answer.status() == 200,
        "status {} instead of 200",
        answer.status()
    );
    outcome(&answer.head, "answered by the second target");
    let answer = answer.json();
    let content = answer
        .pointer("/choices/0/message/content")
        .and_then(Value::as_str)
        .unwrap_or_default();
    say(&format!("     {}", beginning(content)));
    Ok(())
}

async fn dead_model_streamed(gateway: SocketAddr) -> anyhow::Result<()> {
    title(
        "4. The same, streamed",
        "POST /llm/v1/chat/completions, \"stream\": true",
    );
    let mut answer = Connection::open(gateway)
        .await?
        .call(&chat(true).bearer(KEY))
        .await?;
    ensure!(
        answer.status() == 200,
        "status {} instead of 200",
        answer.status()
    );
    outcome(
        &answer.head,
        "the head was held back until the second target had content",
    );
    let events = print_events(&mut answer).await?;
    ensure!(events > 1, "no stream of events came");
    Ok(())
}

async fn anonymous(gateway: SocketAddr) -> anyhow::Result<()> {
    title(
        "5. A model call without a key",
        "POST /llm/v1/chat/completions",
    );
    let answer = Connection::open(gateway)
        .await?
        .call(&chat(false))
        .await?
        .finish()
        .await?;
    ensure!(
        answer.status() == 401,
        "status {} instead of 401",
        answer.status()
    );
    outcome(&answer.head, "refused before any model was asked");
    say(&format!("     {}", answer.text()));
    Ok(())
}

async fn knowledge(gateway: SocketAddr) -> anyhow::Result<()> {
    title(
        "6. Dify asks an external knowledge base",
        "POST /knowledge/handbook/retrieval",
    );
    let setting = json!({ "top_k": 2, "score_threshold": 0.5 });
    let query = json!({ "knowledge_id": "handbook-1", "query": "What is a spillway?", "retrieval_setting": setting });
    let request = Request::json("/knowledge/handbook/retrieval", &query).bearer(KEY);
    let answer = Connection::open(gateway)
        .await?
        .call(&request)
        .await?
        .finish()
        .await?;
    ensure!(
        answer.status() == 200,
        "status {} instead of 200",
        answer.status()
    );
    outcome(
        &answer.head,
        "translated for RAGFlow and back, within Dify's 5 seconds",
    );
    say(&format!("     {}", beginning(&answer.text())));
    Ok(())
}

async fn limited(gateway: SocketAddr, app: &str, status: u16, comment: &str) -> anyhow::Result<()> {
    let request = Request::get("/v1/info")
        .bearer("app-demo")
        .header("x-app-id", app);
    let answer = Connection::open(gateway)
        .await?
        .call(&request)
        .await?
        .finish()
        .await?;
    ensure!(
        answer.status() == status,
        "status {} instead of {status}",
        answer.status()
    );
    outcome(&answer.head, comment);
    Ok(())
}

fn chat(stream: bool) -> Request {
    let messages = json!([{ "role": "user", "content": "Are you there?" }]);
    Request::json(
        "/llm/v1/chat/completions",
        &json!({ "model": "gpt-4o", "messages": messages, "stream": stream }),
    )
}

async fn print_events(answer: &mut Incoming) -> anyhow::Result<usize> {
    let mut events: usize = 0;
    while let Some(block) = answer.next_block().await? {
        say(&format!("     {}", beginning(block.trim_end())));
        events = events.saturating_add(1);
    }
    Ok(events)
}

fn title(title: &str, request: &str) {
    say(&format!("\n{title}\n  -> {request}"));
}

fn outcome(head: &Head, comment: &str) {
    let shown: Vec<String> = SHOWN_HEADERS
        .iter()
        .filter_map(|name| head.header(name).map(|value| format!("{name}: {value}")))
        .collect();
    let shown = if shown.is_empty() {
        String::new()
    } else {
        format!(" [{}]", shown.join(", "))
    };
    say(&format!("  <- {}{shown} {comment}", head.status));
}

fn beginning(text: &str) -> String {
    let line = text.replace('\n', " ");
    let mut shown: String = line.chars().take(SHOWN_CHARACTERS).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

//! Real clients finish every call that the page calls recovered.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use spillway_tests::{python, repository_root, run, run_to_end, standin::chat_text};

use crate::{
    columns::{Column, Mode},
    page,
    service::{Cell, PARTS, Service},
};

#[test]
fn the_openai_client_finishes_whatever_is_recovered() -> Result<()> {
    run(finish_all("openai_recovered.py"))
}

#[test]
fn difys_sdk_finishes_whatever_is_recovered() -> Result<()> {
    run(finish_all("dify_recovered.py"))
}

/// Lets a client make every call that the page calls recovered.
async fn finish_all(client: &str) -> Result<()> {
    let mut services = Vec::new();
    let mut calls = Vec::new();
    let mut missed = 0_usize;
    for column in Column::all() {
        let recovered = page::recovered(column)?;
        missed = missed.saturating_add(recovered.len());
        for part in 0..PARTS {
            let service = Service::start(column, part).await?;
            let known = |cell: &&Cell| recovered.iter().any(|name| name == cell.failure.name);
            // What a client asks for itself the gateway does not take back, and Dify's asks for usage.
            let asks_itself = |cell: &&Cell| cell.failure.name.contains("stream_options");
            for cell in service.cells.iter().filter(known) {
                missed = missed.saturating_sub(1);
                if asks_itself(&cell) {
                    continue;
                }
                calls.push(json!({
                    "name": format!("{}: {}", column.title(), cell.failure.name),
                    "base_url": format!("{}/llm/v1", service.gateway.url()),
                    "model": cell.model(),
                    "text": cell.question(),
                    "stream": column.mode == Mode::Streamed,
                }));
            }
            services.push(service);
        }
    }
    ensure!(
        missed == 0,
        "the page knows {missed} cells that the test does not"
    );
    ensure!(!calls.is_empty(), "the page calls nothing recovered");
    let results = script(client, &Value::from(calls.clone())).await?;
    for call in &calls {
        let asked = call.get("text").and_then(Value::as_str).unwrap_or_default();
        let whole = ["first", "second"].map(|author| chat_text(author, asked));
        let name = call.get("name").and_then(Value::as_str).unwrap_or_default();
        let result = results.get(name).context("a call without a result")?;
        let text = result
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default();
        assert!(
            whole.iter().any(|whole| whole == text),
            "{client}, {name}: {result}"
        );
        assert_eq!(
            result.get("finish_reason"),
            Some(&json!("stop")),
            "{client}, {name}: {result}"
        );
    }
    Ok(())
}

/// Runs a script of `tests/clients` with the calls to make, and gives the JSON it prints.
async fn script(name: &str, calls: &Value) -> Result<Value> {
    let mut command = Command::new(python()?);
    command
        .arg(repository_root().join("tests/clients").join(name))
        .arg(calls.to_string())
        .env("NO_PROXY", "127.0.0.1")
        .env("PYTHONUTF8", "1");
    let outcome = run_to_end(&mut command).await?;
    ensure!(
        outcome.code == Some(0),
        "{name} failed:\n{}",
        outcome.everything()
    );
    let line = outcome.output.lines().last();
    serde_json::from_str(line.context("the script printed nothing")?)
        .with_context(|| outcome.everything())
}

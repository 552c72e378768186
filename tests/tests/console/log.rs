//! One line a request.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;
use spillway_tests::{
    Gateway, Options, chat_request,
    client::Request,
    run,
    standin::{StandinDify, StandinModel},
    until,
};

async fn start(log: &str, dify: &StandinDify, vendor: &StandinModel) -> Result<Gateway> {
    let yaml = format!(
        r#"
telemetry: {{ log: {{ {log} }} }}
agents:
  - name: dify
    services: {{ api: "{}", web: "{}" }}
models:
  - name: llm
    routes: [{{ match: {{ model: [known] }}, targets: [{{ provider: vendor }}] }}]
providers:
  - {{ name: vendor, base_url: "{}" }}
"#,
        dify.api.url(),
        dify.web.url(),
        vendor.base_url()
    );
    Gateway::start(&yaml, Options::default()).await
}

/// Requests of every kind, with what their lines say: the event, the kind and the reason.
fn requests() -> Vec<(Request, [&'static str; 3])> {
    let chat = |model| Request::json("/llm/v1/chat/completions", &chat_request(model, "hi"));
    let run = serde_json::json!({ "inputs": {}, "query": "q", "user": "ann" });
    vec![
        (Request::get("/apps?secret=1"), ["request", "agent", "ok"]),
        (
            Request::get("/v1/../x"),
            ["request", "agent", "invalid_request"],
        ),
        (
            Request::json("/v1/chat-messages", &run).bearer("app-1"),
            ["run", "agent", "ok"],
        ),
        (chat("known"), ["call", "model", "ok"]),
        (chat("unknown"), ["request", "model", "not_found"]),
        (
            Request::get("/knowledge/none/retrieval"),
            ["retrieval", "knowledge", "not_found"],
        ),
        (
            Request::get("/_gateway/health/live"),
            ["request", "console", "ok"],
        ),
    ]
}

#[test]
fn every_request_is_one_line_of_json_and_names_no_secret() -> Result<()> {
    run(async {
        let (dify, vendor) = (StandinDify::start()?, StandinModel::start("vendor")?);
        let gateway = start("format: json", &dify, &vendor).await?;
        let mut expected = BTreeMap::new();
        for (number, (request, line)) in requests().into_iter().enumerate() {
            let id = format!("id-{number}");
            let answer = gateway.call(&request.header("x-request-id", &id)).await?;
            assert_eq!(answer.header("x-request-id").as_deref(), Some(&*id));
            expected.insert(id, (answer.status(), line));
        }
        let lines = until("a line for each request", async || {
            let lines = lines_of(&gateway)?;
            Ok((lines.len() >= expected.len()).then_some(lines))
        })
        .await?;
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for line in lines {
            let id = line["request"].as_str().context("no request id")?;
            let (status, words) = &expected[id];
            let said = ["event", "kind", "reason"].map(|name| line[name].as_str());
            assert_eq!(said, words.map(Some), "{line}");
            assert_eq!(line["status"], *status, "{line}");
            assert!(line["time"].is_string() && line["ms"].is_u64(), "{line}");
            assert!(!line.to_string().contains("secret"), "{line}");
        }
        Ok(())
    })
}

#[test]
fn with_a_higher_level_only_failures_are_written() -> Result<()> {
    run(async {
        let (dify, vendor) = (StandinDify::start()?, StandinModel::start("vendor")?);
        let gateway = start("level: warn", &dify, &vendor).await?;
        drop(dify);
        let live = Request::get("/_gateway/health/live").header("x-request-id", "live");
        assert_eq!(gateway.call(&live).await?.status(), 200);
        let page = Request::get("/apps").header("x-request-id", "page");
        assert_eq!(gateway.call(&page).await?.status(), 502);
        until("the line of the failure", async || {
            let log = gateway.log();
            let line = log.lines().find(|line| line.contains("request=page"));
            Ok(line
                .is_some_and(|line| line.contains(" warn request api=dify"))
                .then_some(()))
        })
        .await?;
        assert!(!gateway.log().contains("request=live"));
        Ok(())
    })
}

/// The lines of requests; whatever else a component says is JSON, too.
fn lines_of(gateway: &Gateway) -> Result<Vec<Value>> {
    let mut lines = Vec::new();
    for line in gateway.log().lines() {
        // The host's own lines from before it has read the configuration.
        let Some(json) = line.find('{').and_then(|start| line.get(start..)) else {
            continue;
        };
        let line: Value = serde_json::from_str(json).with_context(|| line.to_owned())?;
        // Not of what the test's own start asked.
        let request = line.get("request").and_then(Value::as_str);
        if request.is_some_and(|id| id.starts_with("id-")) {
            lines.push(line);
        }
    }
    Ok(lines)
}

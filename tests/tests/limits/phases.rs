//! Limits that need nothing of a request's body are looked at before it is read.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options, chat_request,
    client::{Connection, Request},
    run,
    standin::{StandinDify, StandinModel},
    until,
};

const RULE: &str = "
      - rule_name: first
        global_threshold: { query_per_minute: 1 }
      - rule_name: second
        rule_items:";

const PATH: &str = "/llm/v1/chat/completions";

/// The head alone of a request with a large body.
async fn head_alone(gateway: &Gateway, path: &str) -> Result<u16> {
    let mut connection = Connection::open(gateway.address()).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer app-1\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{{"
    );
    connection.write(head.as_bytes()).await?;
    Ok(connection.answer("POST").await?.status())
}

#[test]
fn a_model_call_is_refused_before_its_body_has_come() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let yaml = format!(
            "models:\n  - name: llm\n    policies:\n      rate_limits:{RULE}\n        - limit_by_model: ''\n          limit_keys: [{{ key: dear, query_per_day: 1 }}]\n    routes: [{{ targets: [{{ provider: vendor }}] }}]\nproviders:\n  - {{ name: vendor, base_url: \"{}\" }}\n",
            vendor.base_url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let ask = Request::json(PATH, &chat_request("cheap", "hi"));
        assert_eq!(gateway.call(&ask).await?.status(), 200);
        assert_eq!(head_alone(&gateway, PATH).await?, 429);
        Ok(())
    })
}

#[test]
fn what_a_later_step_refuses_is_counted_in_no_earlier_one() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let yaml = format!(
            "models:\n  - name: llm\n    policies:\n      rate_limits:{}\n        - limit_by_model: ''\n          limit_keys: [{{ key: dear, query_per_day: 1 }}]\n    routes: [{{ targets: [{{ provider: vendor }}] }}]\nproviders:\n  - {{ name: vendor, base_url: \"{}\" }}\n",
            RULE.replace("query_per_minute: 1", "query_per_day: 3"),
            vendor.base_url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        // Above 64 KiB, so that the rules are asked in two steps.
        let large = "x".repeat(100_000);
        let ask = |model: &str| Request::json(PATH, &chat_request(model, &large));
        assert_eq!(gateway.call(&ask("dear")).await?.status(), 200);
        for _ in 0..3 {
            assert_eq!(gateway.call(&ask("dear")).await?.status(), 429);
        }
        // Taken back off the request's path: all that is left is there in a moment.
        until("what was refused is counted nowhere", async || {
            let passed = gateway.call(&ask("cheap")).await?.status() == 200;
            Ok(passed.then_some(()))
        })
        .await?;
        Ok(())
    })
}

#[test]
fn a_run_is_refused_before_its_body_has_come() -> Result<()> {
    run(async {
        let dify = StandinDify::start()?;
        let yaml = format!(
            "agents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n    policies:\n      rate_limits:{RULE}\n        - limit_by_per_end_user: ''\n          limit_keys: [{{ key: '*', query_per_day: 5 }}]\n",
            dify.api.url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let path = "/v1/chat-messages";
        let body = serde_json::json!({ "inputs": {}, "query": "q", "user": "ann" });
        let first = Request::json(path, &body).bearer("app-1");
        assert_ne!(gateway.call(&first).await?.status(), 429);
        assert_eq!(head_alone(&gateway, path).await?, 429);
        Ok(())
    })
}

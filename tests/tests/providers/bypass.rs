//! Ways round what a consumer may do, by what is passed on unread.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Gateway,
    client::{Body, Request},
    run,
    standin::{Behaviour, Reply, StandinModel},
};

use crate::start;

const YAML: &str = r#"
consumers:
  - { name: few, credentials: [{ api_key: sk-of-few }], models: [cheap] }
models:
  - name: llm
    policies: { auth: [few], api_key_query: key }
    routes: [{ targets: [{ provider: vendor }], parameters: { caps: { max_output_tokens: 10 } } }]
providers:
  - { name: vendor, base_url: "$vendor" }
"#;

async fn vendor_and_gateway() -> Result<(StandinModel, Gateway)> {
    let vendor = StandinModel::start("vendor")?;
    vendor.always(Behaviour::Reply(Reply::json(200, &json!({"id": "x"}))));
    let gateway = start(YAML, &[("vendor", &vendor)]).await?;
    Ok((vendor, gateway))
}

#[test]
fn dots_in_a_path_lead_nowhere() -> Result<()> {
    run(async {
        let (vendor, gateway) = vendor_and_gateway().await?;
        let body = json!({"model": "dear", "messages": []});
        for path in [
            "/llm/v1/files/../chat/completions",
            "/llm/v1/files/%2e%2e/chat/completions",
            "/llm/v1/files/.%2E/chat/completions",
            "/llm/v1/batches/../../admin",
            "/llm/v1/responses/x/../../chat/completions",
            "/llm/v1/files/..\\chat/completions",
            "/llm/v1/files/./../chat/completions",
        ] {
            let request = Request::json(path, &body).bearer("sk-of-few");
            let answer = gateway.call(&request).await?;
            assert!(
                (400..500).contains(&answer.status()),
                "{path}: {}",
                answer.status()
            );
        }
        let seen: Vec<String> = vendor
            .requests()
            .into_iter()
            .map(|request| request.target)
            .collect();
        assert!(seen.is_empty(), "the provider got {seen:?}");
        Ok(())
    })
}

#[test]
fn a_content_type_hides_no_model() -> Result<()> {
    run(async {
        let (vendor, gateway) = vendor_and_gateway().await?;
        let body = json!({"model": "dear", "input": "hi"}).to_string();
        for content_type in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/JSON; charset=utf-8"),
            Some("application/vnd.api+json"),
            Some("application/x-www-form-urlencoded"),
        ] {
            for path in [
                "/llm/v1/responses",
                "/llm/responses/",
                "/llm/v1/responses?a=b",
            ] {
                let mut request = Request::new("POST", path)
                    .bearer("sk-of-few")
                    .body(Body::Length(body.clone().into()));
                if let Some(content_type) = content_type {
                    request = request.header("Content-Type", content_type);
                }
                let answer = gateway.call(&request).await?;
                assert!(
                    (400..500).contains(&answer.status()),
                    "{content_type:?} {path}: {}",
                    answer.status()
                );
            }
        }
        assert!(
            vendor.requests().is_empty(),
            "a model that is not for this caller was called"
        );
        Ok(())
    })
}

#[test]
fn a_key_in_the_query_stays_here() -> Result<()> {
    run(async {
        let (vendor, gateway) = vendor_and_gateway().await?;
        for target in [
            "/llm/v1/files?key=sk-of-few&limit=1",
            "/llm/v1/files?limit=1&key=sk-of-few",
            "/llm/v1/files/f-1?limit=1&%6Bey=sk-of-few",
        ] {
            let answer = gateway.call(&Request::get(target)).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        for seen in vendor.requests() {
            assert!(!seen.mentions("sk-of-few"), "{}", seen.target);
            assert!(seen.target.ends_with("?limit=1"), "{}", seen.target);
        }
        Ok(())
    })
}

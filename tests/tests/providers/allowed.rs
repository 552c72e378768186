//! What a consumer may use, and where its key may stand.

use anyhow::Result;
use serde_json::Value;
use spillway_tests::{
    Gateway, Reason, assert_openai_error, chat_request,
    client::{Request, Response},
    mark, reason, run,
    standin::StandinModel,
};

use crate::start;

const YAML: &str = r#"
consumers:
  - { name: all, credentials: [{ api_key: sk-of-all }] }
  - { name: few, credentials: [{ api_key: sk-of-few }], models: ["gpt-*", "regexp:^qwen[0-9]$"] }
models:
  - name: llm
    policies: { auth: [all, few], api_key_query: key }
    routes:
      - match: { model: [gpt-4o, gpt-4o-mini, qwen2, qwen-long, text-embed] }
        targets: [{ provider: vendor }]
      - match: { model: [secret-model] }
        auth: [all]
        targets: [{ provider: vendor }]
      - match: { model: [own-alias], consumers: [few] }
        targets: [{ provider: vendor }]
      - match: { model: [gpt-private] }
        auth: [all]
        targets: [{ provider: vendor }]
  - name: open
    base_path: /llm/open
    routes: [{ targets: [{ provider: vendor }] }]
providers:
  - { name: vendor, base_url: "$vendor", api_keys: [sk-of-provider] }
"#;

async fn call(gateway: &Gateway, model: &str, key: &str) -> Result<Response> {
    let request = Request::json("/llm/v1/chat/completions", &chat_request(model, "hi"));
    gateway.call(&request.bearer(key)).await
}

async fn list(gateway: &Gateway, key: &str) -> Result<Vec<String>> {
    let answer = gateway
        .call(&Request::get("/llm/v1/models").bearer(key))
        .await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let list = answer.json();
    let entries = list.pointer("/data").and_then(Value::as_array);
    let name = |entry: &Value| entry.get("id").and_then(Value::as_str).map(str::to_owned);
    Ok(entries.into_iter().flatten().filter_map(name).collect())
}

#[test]
fn a_consumer_uses_and_sees_its_models_alone() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        for (model, of_few) in [
            ("gpt-4o", 200),
            ("gpt-4o-mini", 200),
            ("qwen2", 200),
            ("qwen-long", 403),
            ("text-embed", 403),
            ("secret-model", 403),
            ("gpt-private", 403),
        ] {
            let answer = call(&gateway, model, "sk-of-all").await?;
            assert_eq!(answer.status(), 200, "{model}: {}", answer.text());
            let answer = call(&gateway, model, "sk-of-few").await?;
            assert_eq!(answer.status(), of_few, "{model}: {}", answer.text());
            if of_few == 403 {
                let message = assert_openai_error(&answer, 403);
                assert!(message.contains(model), "{message}");
                reason(&answer.head, Reason::Unauthorized);
            }
        }
        let seen = list(&gateway, "sk-of-few").await?;
        assert_eq!(seen, ["gpt-4o", "gpt-4o-mini", "qwen2"], "of few");
        let all = list(&gateway, "sk-of-all").await?;
        assert_eq!(
            all,
            [
                "gpt-4o",
                "gpt-4o-mini",
                "qwen2",
                "qwen-long",
                "text-embed",
                "secret-model",
                "gpt-private"
            ]
        );
        Ok(())
    })
}

#[test]
fn one_model_is_shown_to_those_who_may_use_it() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let get = Request::get("/llm/v1/models/secret-model");
        let all = gateway.call(&get.clone().bearer("sk-of-all")).await?;
        assert_eq!(
            (all.status(), all.json()["id"].as_str()),
            (200, Some("secret-model"))
        );
        let few = gateway.call(&get.bearer("sk-of-few")).await?;
        assert_openai_error(&few, 404);
        // Nor do near names tell of what the caller may not use.
        let near = call(&gateway, "secret-modem", "sk-of-few").await?;
        let message = assert_openai_error(&near, 404);
        assert!(!message.contains("secret-model"), "{message}");
        Ok(())
    })
}

#[test]
fn a_key_may_come_in_the_query_where_that_is_wanted() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let mark = mark();
        let with = |query: &str| {
            let target = format!("/llm/v1/chat/completions{query}");
            Request::json(&target, &chat_request("gpt-4o", &mark))
        };
        for query in ["?key=sk-of-all", "?a=b&key=sk%2Dof%2Dall"] {
            let answer = gateway.call(&with(query)).await?;
            assert_eq!(answer.status(), 200, "{query}: {}", answer.text());
        }
        // An empty header is an absent one.
        let empty = with("?key=sk-of-all").header("Authorization", "");
        assert_eq!(gateway.call(&empty).await?.status(), 200);
        for query in [
            "",
            "?key=",
            "?key=sk-wrong",
            "?Key=sk-of-all",
            "?api_key=sk-of-all",
        ] {
            let answer = gateway.call(&with(query)).await?;
            assert_openai_error(&answer, 401);
        }
        let beside = with("?key=sk-of-all").bearer("sk-wrong");
        assert_openai_error(&gateway.call(&beside).await?, 401);
        for seen in vendor.requests_mentioning(&mark) {
            assert_eq!(seen.target, "/v1/chat/completions", "the query stays here");
        }
        assert!(!gateway.log().contains("sk-of-all"), "{}", gateway.log());
        Ok(())
    })
}

#[test]
fn internal_headers_of_clients_stay_here() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let body = chat_request("m", "hi");
        for path in ["/llm/open/v1/chat/completions", "/llm/open/v1/batches"] {
            let request = Request::json(path, &body)
                .header("x-gateway-consumer", "forged")
                .header("X-Gateway-Provider", "forged")
                .header("x-gateway-reason", "forged")
                .header("x-ca-nonce", "forged")
                .header("x-api-key", "forged")
                .header("authorization", "Bearer forged");
            let answer = gateway.call(&request).await?;
            for (name, value) in &answer.head.headers {
                assert!(!value.windows(6).any(|part| part == b"forged"), "{name}");
            }
        }
        let seen = vendor.requests();
        assert_eq!(seen.len(), 2);
        for request in seen {
            assert!(
                !format!("{:?}", request.headers).contains("forged"),
                "{request:?}"
            );
            assert_eq!(
                request.header("authorization").as_deref(),
                Some("Bearer sk-of-provider")
            );
        }
        Ok(())
    })
}

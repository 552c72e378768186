//! Knowledge APIs: Dify's external knowledge contract in front of a RAGFlow.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, Options,
    client::{Request, Response},
    run,
    standin::{RagflowOptions, ReservedPort, StandinRagflow, ragflow_chunk_text},
};

mod engine_failures;

/// A gateway with three knowledge APIs: before a RAGFlow, before nobody, before an engine that speaks the contract.
struct Knowledge {
    gateway: Gateway,
    engine: StandinRagflow,
    _nobody: ReservedPort,
}

impl Knowledge {
    async fn start() -> Result<Self> {
        let nobody = ReservedPort::reserve()?;
        let engine = StandinRagflow::start(RagflowOptions {
            api_keys: vec!["ragflow-key".to_owned()],
            dataset_ids: vec!["kb1".to_owned(), "kb2".to_owned()],
        })?;
        let yaml = format!(
            r#"
knowledge:
  - name: handbook
    api_keys: ["{{{{ handbook_key }}}}", kb-key-2]
    deadline: 2s
    policies:
      rate_limits:
      - rule_name: per-key
        rule_items:
        - limit_by_per_consumer: ''
          limit_keys: [{{ key: '*', query_per_minute: 20 }}]
    backend: {{ type: ragflow, base_url: "{}", api_key: ragflow-key }}
  - name: nobody
    api_keys: [kb-key-1]
    backend: {{ type: dify_compatible, base_url: "{}/dify", api_key: engine-key }}
"#,
            engine.url(),
            nobody.url()
        );
        let options = Options::default().secret("handbook_key", "kb-key-1");
        let gateway = Gateway::start(&yaml, options).await?;
        Ok(Self {
            gateway,
            engine,
            _nobody: nobody,
        })
    }

    async fn ask(&self, path: &str, key: &str, query: &Value) -> Result<Response> {
        self.gateway
            .call(&Request::json(path, query).bearer(key))
            .await
    }
}

fn query(knowledge: &str, top_k: u32, threshold: f64) -> Value {
    json!({
        "knowledge_id": knowledge, "query": "grüße",
        "retrieval_setting": { "top_k": top_k, "score_threshold": threshold },
    })
}

fn assert_error(answer: &Response, status: u16, code: u32) {
    let document = answer.json();
    assert_eq!(
        (answer.status(), document.get("error_code")),
        (status, Some(&json!(code))),
        "{}",
        answer.text()
    );
    let message = document
        .get("error_msg")
        .and_then(Value::as_str)
        .unwrap_or_default();
    assert!(!message.is_empty(), "{}", answer.text());
}

#[test]
fn records_come_sorted_bounded_and_whole() -> Result<()> {
    run(async {
        let knowledge = Knowledge::start().await?;
        for path in [
            "/knowledge/handbook/retrieval",
            "/knowledge/handbook//retrieval",
        ] {
            let answer = knowledge
                .ask(path, "kb-key-1", &query("kb1", 3, 0.5))
                .await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let records = answer.json()["records"].clone();
            let records = records.as_array().cloned().unwrap_or_default();
            assert_eq!(records.len(), 3, "{}", answer.text());
            let best = answer.json()["records"][0]["content"].clone();
            assert_eq!(best, ragflow_chunk_text("grüße", "kb1", 1));
            let scores: Vec<f64> = records
                .iter()
                .filter_map(|record| record["score"].as_f64())
                .collect();
            assert!(
                scores.len() == 3 && scores.is_sorted_by(|left, right| left >= right),
                "{scores:?}"
            );
            for record in &records {
                assert!(
                    record["metadata"].is_object() && record["title"].is_string(),
                    "{record}"
                );
            }
        }
        for asked in knowledge.engine.requests() {
            let key = asked.header("authorization");
            assert_eq!(key.as_deref(), Some("Bearer ragflow-key"));
        }
        let few = knowledge
            .ask(
                "/knowledge/handbook/retrieval",
                "kb-key-1",
                &query("kb1,kb2", 100, 0.9),
            )
            .await?;
        assert_eq!(
            few.json()["records"].as_array().map(Vec::len),
            Some(2),
            "one of each data set is above the threshold: {}",
            few.text()
        );
        Ok(())
    })
}

#[test]
fn registering_with_dify_succeeds_with_the_key_and_fails_without() -> Result<()> {
    run(async {
        let knowledge = Knowledge::start().await?;
        let probe = Request::new("POST", "/knowledge/handbook/retrieval");
        let right = knowledge
            .gateway
            .call(&probe.clone().bearer("kb-key-1"))
            .await?;
        assert_eq!(
            (right.status(), right.json()),
            (200, json!({ "records": [] })),
            "{}",
            right.text()
        );
        let wrong = knowledge
            .gateway
            .call(&probe.clone().bearer("wrong"))
            .await?;
        assert_error(&wrong, 403, 1002);
        let none = knowledge.gateway.call(&probe).await?;
        assert_error(&none, 403, 1001);
        assert!(
            knowledge.engine.requests().is_empty(),
            "a probe asks nobody"
        );
        Ok(())
    })
}

#[test]
fn what_does_not_exist_and_what_cannot_be_read_is_named() -> Result<()> {
    run(async {
        let knowledge = Knowledge::start().await?;
        let path = "/knowledge/handbook/retrieval";
        let unknown_api = knowledge
            .ask(
                "/knowledge/other/retrieval",
                "kb-key-1",
                &query("kb1", 3, 0.0),
            )
            .await?;
        assert_error(&unknown_api, 404, 2001);
        let unknown_data_set = knowledge
            .ask(path, "kb-key-1", &query("kb9", 3, 0.0))
            .await?;
        assert_error(&unknown_data_set, 404, 2001);
        let broken = Request::post(path, "application/json", "{\"query\":").bearer("kb-key-1");
        assert_error(&knowledge.gateway.call(&broken).await?, 400, 3001);
        let get = Request::get(path).bearer("kb-key-1");
        assert_eq!(knowledge.gateway.call(&get).await?.status(), 405);
        Ok(())
    })
}

#[test]
fn each_key_has_its_own_limit() -> Result<()> {
    run(async {
        let knowledge = Knowledge::start().await?;
        let probe = Request::new("POST", "/knowledge/handbook/retrieval");
        let call = async |key: &str| knowledge.gateway.call(&probe.clone().bearer(key)).await;
        for _ in 0..20 {
            assert_eq!(call("kb-key-1").await?.status(), 200);
        }
        let refused = call("kb-key-1").await?;
        assert_error(&refused, 429, 3002);
        assert!(refused.header("retry-after").is_some());
        assert_eq!(call("kb-key-2").await?.status(), 200);
        Ok(())
    })
}

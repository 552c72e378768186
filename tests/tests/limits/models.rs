//! Limits of a model API.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options, chat_request, client::Request, run, standin::StandinModel, stream_request,
};

#[test]
fn models_and_consumers_are_limited_each_on_their_own() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let yaml = format!(
            r#"
consumers:
  - name: one
    credentials: [{{ api_key: sk-one }}]
  - name: two
    credentials: [{{ api_key: sk-two }}]
models:
  - name: llm
    policies:
      auth: [one, two]
      rate_limits:
      - rule_name: per-consumer
        rule_items:
        - limit_by_per_consumer: ''
          limit_keys: [{{ key: '*', query_per_minute: 3 }}]
        show_limit_quota_header: true
      - rule_name: dear-model
        rule_items:
        - limit_by_model: ''
          limit_keys: [{{ key: dear, query_per_minute: 1 }}]
    routes: [{{ targets: [{{ provider: vendor }}] }}]
providers:
  - {{ name: vendor, base_url: "{}" }}
"#,
            vendor.base_url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let path = "/llm/v1/chat/completions";
        let ask =
            |model: &str, key: &str| Request::json(path, &chat_request(model, "hi")).bearer(key);

        assert_eq!(gateway.call(&ask("dear", "sk-one")).await?.status(), 200);
        let refused = gateway.call(&ask("dear", "sk-two")).await?;
        assert_eq!(
            refused.status(),
            429,
            "the dear model is limited for all together"
        );
        let error = refused.json()["error"].clone();
        assert_eq!(
            (error["type"].as_str(), error["code"].as_str()),
            (Some("rate_limit_error"), Some("rate_limited"))
        );

        let stream = Request::json(path, &stream_request("cheap", "hi")).bearer("sk-one");
        let streamed = gateway.call(&stream).await?;
        assert_eq!(streamed.status(), 200);
        assert_eq!(
            streamed.header("x-ratelimit-remaining").as_deref(),
            Some("1")
        );
        assert_eq!(gateway.call(&ask("cheap", "sk-one")).await?.status(), 200);
        assert_eq!(gateway.call(&ask("cheap", "sk-one")).await?.status(), 429);
        for _ in 0..3 {
            let other = gateway.call(&ask("cheap", "sk-two")).await?;
            assert_eq!(
                other.status(),
                200,
                "a refused call is counted nowhere: {}",
                other.text()
            );
        }
        Ok(())
    })
}

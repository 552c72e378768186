//! Defaults, caps and forced parameters, as the provider sees them.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{client::Request, mark, run, standin::StandinModel};

use crate::{CHAT, start};

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: vendor }]
        parameters:
          defaults: { temperature: 0.5, metadata: { team: a } }
          caps: { max_tokens: 100, top_p: 0.9 }
          forced: { store: false, user: null }
providers:
  - { name: vendor, base_url: "$vendor" }
"#;

#[test]
fn the_provider_sees_what_the_route_wants() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        for (client, wanted) in [
            (
                json!({}),
                json!({"temperature": 0.5, "metadata": {"team": "a"}, "max_tokens": 100, "top_p": 0.9, "store": false}),
            ),
            (
                json!({"temperature": 1.5, "metadata": {}, "max_tokens": 7, "top_p": 0.1, "store": true, "user": "ann"}),
                json!({"temperature": 1.5, "metadata": {}, "max_tokens": 7, "top_p": 0.1, "store": false}),
            ),
            (
                json!({"max_tokens": 101, "top_p": 1, "temperature": null}),
                json!({"temperature": null, "metadata": {"team": "a"}, "max_tokens": 100, "top_p": 0.9, "store": false}),
            ),
            (
                json!({"max_completion_tokens": 5000}),
                json!({"temperature": 0.5, "metadata": {"team": "a"}, "max_completion_tokens": 100, "top_p": 0.9, "store": false}),
            ),
            (
                json!({"max_tokens": "lots", "top_p": null}),
                json!({"temperature": 0.5, "metadata": {"team": "a"}, "max_tokens": 100, "top_p": 0.9, "store": false}),
            ),
        ] {
            let mark = mark();
            let messages = json!([{"role": "user", "content": mark}]);
            let with = |extra: &Value| {
                let mut body = json!({"model": "m", "messages": messages});
                for (name, value) in extra.as_object().into_iter().flatten() {
                    body[name] = value.clone();
                }
                body
            };
            gateway.call(&Request::json(CHAT, &with(&client))).await?;
            let seen = vendor.wait_for_request(&mark).await?.json();
            assert_eq!(seen, with(&wanted), "asked with {client}");
        }
        Ok(())
    })
}

#[test]
fn a_parameter_that_is_sent_twice_cannot_pass_a_cap() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let mark = mark();
        let body = format!(
            r#"{{"model":"m","max_tokens":5,"messages":[{{"role":"user","content":"{mark}"}}],"max_tokens":9000,"user":"ann","us\u0065r":"bob","store":true,"store":true}}"#
        );
        gateway
            .call(&Request::post(CHAT, "application/json", body))
            .await?;
        let seen = vendor.wait_for_request(&mark).await?.text();
        for forbidden in ["9000", "ann", "bob", "true"] {
            assert!(!seen.contains(forbidden), "{forbidden} in {seen}");
        }
        Ok(())
    })
}

#[test]
fn a_stream_gets_them_as_well() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let answer = gateway.call(&crate::stream("m", "hi")).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let seen = vendor.wait_for_request("hi").await?.json();
        assert_eq!(seen["max_tokens"], 100);
        assert_eq!(seen["store"], false);
        assert_eq!(seen["stream_options"]["include_usage"], true, "{seen}");
        Ok(())
    })
}

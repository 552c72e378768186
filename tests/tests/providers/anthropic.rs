//! A provider that speaks Anthropic's API among others that speak OpenAI's.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, Options, attempts,
    client::Request,
    run,
    standin::{Behaviour, EventStream, StandinAnthropic, StandinModel},
    until,
};

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - { match: { model: [alone] }, targets: [{ provider: claude, model: claude-x }] }
      - targets: [{ provider: claude, model: claude-x }, { provider: vendor }]
providers:
  - { name: claude, type: anthropic, base_url: "$claude", api_keys: [sk-ant-1] }
  - { name: vendor, base_url: "$vendor" }
"#;

async fn start(claude: &StandinAnthropic, vendor: &StandinModel) -> Result<Gateway> {
    let yaml = YAML
        .replace("$claude", &claude.base_url())
        .replace("$vendor", &vendor.base_url());
    Gateway::start(&yaml, Options::default().lasting()).await
}

fn chat(model: &str, more: &Value) -> Request {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    Request::json(crate::CHAT, &body)
}

#[test]
fn whatever_fails_there_is_answered_by_the_next_target() -> Result<()> {
    run(async {
        let (claude, vendor) = (
            StandinAnthropic::start("sk-ant-1")?,
            StandinModel::start("vendor")?,
        );
        let gateway = start(&claude, &vendor).await?;
        let answer = gateway.call(&chat("m", &json!({}))).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(
            answer.json()["choices"][0]["message"]["content"],
            "You said: hi"
        );
        assert_eq!(
            answer.header("x-gateway-upstream-request-id").as_deref(),
            Some("req_stand_in")
        );
        // What it has no word for the other has: it is not asked at all.
        let asked = claude.requests().len();
        let answer = gateway.call(&chat("m", &json!({"n": 2}))).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(attempts(&answer.head).as_deref(), Some("2"));
        assert_eq!(claude.requests().len(), asked);
        let alone = gateway.call(&chat("alone", &json!({"n": 2}))).await?;
        assert_eq!(alone.status(), 400, "{}", alone.text());
        for behaviour in [
            Behaviour::Error(529),
            Behaviour::Error(500),
            Behaviour::Reset,
            Behaviour::not_json(),
            Behaviour::empty(),
        ] {
            for stream in [false, true] {
                claude.next(behaviour.clone());
                let answer = gateway.call(&chat("m", &json!({"stream": stream}))).await?;
                assert_eq!(answer.status(), 200, "{behaviour:?}: {}", answer.text());
                let provider = answer.header("x-gateway-provider");
                assert_eq!(provider.as_deref(), Some("vendor"), "{behaviour:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_stream_is_openais_and_its_errors_are_told() -> Result<()> {
    run(async {
        let (claude, vendor) = (
            StandinAnthropic::start("sk-ant-1")?,
            StandinModel::start("vendor")?,
        );
        let gateway = start(&claude, &vendor).await?;
        let options = json!({"stream": true, "stream_options": {"include_usage": true}});
        let answer = gateway.call(&chat("alone", &options)).await?;
        let text = answer.text();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        assert!(text.contains("\"total_tokens\":21"), "{text}");
        assert!(!text.contains("event:"), "{text}");
        let sent = claude.requests();
        let sent = sent.last().map(|request| request.json());
        let sent = sent.unwrap_or_default();
        assert_eq!(
            (&sent["stream"], &sent["max_tokens"]),
            (&json!(true), &json!(4096))
        );
        assert_eq!(sent["stream_options"], Value::Null);

        claude.next(Behaviour::Stream(EventStream::new().error_after(4)));
        let broken = gateway
            .call(&chat("alone", &json!({"stream": true})))
            .await?
            .text();
        assert!(broken.contains("Overloaded"), "{broken}");
        assert!(!broken.contains("[DONE]"), "{broken}");
        claude.next(Behaviour::reset_after_events(4));
        let cut = gateway
            .call(&chat("alone", &json!({"stream": true})))
            .await?
            .text();
        assert!(
            cut.contains("\"error\"") && !cut.contains("[DONE]"),
            "{cut}"
        );
        claude.next(Behaviour::Unstreamed);
        let whole = gateway
            .call(&chat("alone", &json!({"stream": true})))
            .await?
            .text();
        assert!(
            whole.contains("You said: hi") && whole.ends_with("data: [DONE]\n\n"),
            "{whole}"
        );
        Ok(())
    })
}

#[test]
fn errors_have_openais_form_and_a_dead_key_is_probed_in_its_own_words() -> Result<()> {
    run(async {
        let (claude, vendor) = (
            StandinAnthropic::start("sk-another")?,
            StandinModel::start("vendor")?,
        );
        let gateway = start(&claude, &vendor).await?;
        let answer = gateway.call(&chat("alone", &json!({}))).await?;
        assert_eq!(answer.status(), 502, "{}", answer.text());
        let words = answer.json()["error"]["message"].to_string();
        assert!(words.contains("invalid x-api-key"), "{words}");
        until("the key is probed", async || {
            let requests = claude.requests();
            let probe = requests
                .iter()
                .find(|request| request.path() == "/v1/models");
            Ok(probe.map(|probe| {
                assert_eq!(probe.header("x-api-key").as_deref(), Some("sk-ant-1"));
                assert_eq!(probe.header("authorization"), None);
            }))
        })
        .await?;
        for path in ["/llm/v1/embeddings", "/llm/v1/files"] {
            let body = json!({"model": "alone", "input": "x"});
            let answer = gateway.call(&Request::json(path, &body)).await?;
            assert_eq!(answer.status(), 404, "{path}: {}", answer.text());
            assert!(
                answer.text().contains("has no such endpoint"),
                "{}",
                answer.text()
            );
        }
        Ok(())
    })
}

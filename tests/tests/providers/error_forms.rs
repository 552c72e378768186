//! However a provider writes an error, clients get OpenAI's form, with its status, code and message.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    assert_openai_error, run,
    standin::{Behaviour, Reply, StandinModel},
};

use crate::{chat, start, stream};

const YAML: &str = r#"
models:
  - name: llm
    routes: [{ targets: [{ provider: vendor }] }]
providers:
  - { name: vendor, base_url: "$vendor" }
"#;

#[test]
fn every_form_of_error_becomes_one() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        for (what, body, code) in [
            ("text alone", json!({"error": "too hot"}), Value::Null),
            (
                "a message alone",
                json!({"error": {"message": "too hot"}}),
                Value::Null,
            ),
            (
                "a number for a code (OpenRouter, Gemini)",
                json!({"error": {"message": "too hot", "code": 400, "status": "INVALID_ARGUMENT"}}),
                json!("400"),
            ),
            (
                "no envelope (vLLM)",
                json!({"object": "error", "message": "too hot", "type": "BadRequestError", "param": null, "code": 400}),
                json!("400"),
            ),
            (
                "no envelope (Model Studio)",
                json!({"code": "InvalidParameter", "message": "too hot", "request_id": "r"}),
                json!("InvalidParameter"),
            ),
            (
                "Anthropic's",
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": "too hot"}}),
                Value::Null,
            ),
        ] {
            vendor.always(Behaviour::Reply(Reply::json(400, &body)));
            for request in [chat("m", "hi"), stream("m", "hi")] {
                let answer = gateway.call(&request).await?;
                let message = assert_openai_error(&answer, 400);
                assert_eq!(message, "too hot", "{what}: {}", answer.text());
                if !code.is_null() {
                    assert_eq!(answer.json()["error"]["code"], code, "{what}");
                }
            }
        }
        Ok(())
    })
}

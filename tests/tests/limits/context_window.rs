//! Calls that are too long for their target.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, Options, assert_openai_error, client::Request, run, standin::StandinModel,
};

fn chat(content: Value, more: Value) -> Request {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": content }] });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    Request::json("/llm/v1/chat/completions", &body)
}

#[test]
fn who_asks_too_much_is_told_before_a_provider_is_and_may_be_served_elsewhere() -> Result<()> {
    run(async {
        let (small, large) = (StandinModel::start("small")?, StandinModel::start("large")?);
        let yaml = format!(
            r#"
models:
  - name: llm
    routes:
      - match: {{ model: ["m"] }}
        targets:
          - {{ provider: small, context_window: {{ max_input_tokens: 1500, on_exceeded: next }} }}
          - {{ provider: large, context_window: {{ max_input_tokens: 20000 }} }}
providers:
  - {{ name: small, base_url: "{}" }}
  - {{ name: large, base_url: "{}" }}
"#,
            small.base_url(),
            large.base_url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let served_by = async |request: Request| -> Result<Option<String>> {
            let answer = gateway.call(&request).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            Ok(answer.header("x-gateway-provider"))
        };
        let words = |count: usize| json!("word ".repeat(count));
        let picture = format!("data:image/png;base64,{}", "A".repeat(2_000_000));
        let pictures = |count: usize| {
            let picture = json!({ "type": "image_url", "image_url": { "url": picture } });
            Value::Array(vec![picture; count])
        };
        for (content, provider) in [
            (json!("hi"), "small"),
            (words(1_200), "small"),
            (words(3_000), "large"),
            (pictures(1), "small"),
            (pictures(2), "large"),
        ] {
            let stream = json!({ "stream": true });
            for more in [json!({}), stream] {
                let by = served_by(chat(content.clone(), more)).await?;
                assert_eq!(by.as_deref(), Some(provider));
            }
        }
        let asked = large.requests().len();
        for more in [json!({}), json!({ "stream": true })] {
            let refused = gateway.call(&chat(words(30_000), more)).await?;
            assert_openai_error(&refused, 400);
            let error = refused.json()["error"].clone();
            assert_eq!(error["code"], "context_length_exceeded", "{error}");
            let reason = refused.header("x-gateway-reason");
            assert_eq!(reason.as_deref(), Some("context_length_exceeded"));
        }
        assert_eq!(large.requests().len(), asked);
        Ok(())
    })
}

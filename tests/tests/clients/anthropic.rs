//! The `openai` client, before a vendor that speaks Anthropic's API.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{Gateway, Options, run, standin::StandinAnthropic};

use crate::{KEY, script};

#[test]
fn the_openai_client_talks_to_a_vendor_of_anthropics_api() -> Result<()> {
    run(async {
        let vendor = StandinAnthropic::start("sk-ant-1")?;
        let yaml = format!(
            r#"
models:
  - name: llm
    routes:
      - match: {{ model: [claude] }}
        targets: [{{ provider: vendor, model: claude-x }}]
providers:
  - {{ name: vendor, type: anthropic, base_url: "{}", api_keys: [sk-ant-1] }}
"#,
            vendor.base_url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let base_url = format!("{}/llm/v1", gateway.url());
        let result = script("openai_anthropic.py", &[&base_url, KEY]).await?;
        let call = json!([{"id": "toolu_1", "name": "weather", "arguments": {"city": "Ulm"}}]);
        assert_eq!(result["text"], "You said: hello");
        assert_eq!(result["calls"], call);
        assert_eq!(result["finish_reason"], "tool_calls");
        assert_eq!(
            result["usage"],
            json!({"prompt_tokens": 15, "completion_tokens": 6, "total_tokens": 21})
        );
        assert_eq!(result["after"], "You said: so?");
        assert_eq!(result["streamed"], "You said: hello");
        assert_eq!(result["streamed_calls"], call);
        assert_eq!(result["streamed_end"], "tool_calls");
        assert_eq!(result["streamed_total"], 21);
        assert_eq!(result["left_out"], "seed");
        let refused = result["refused"].as_str().unwrap_or_default();
        assert!(refused.contains("leave `n` out"), "{refused}");
        assert_eq!(result["embedded"], false);
        Ok(())
    })
}

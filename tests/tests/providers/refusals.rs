//! The gateway's own refusals lead to another target only where that is asked for.

use anyhow::Result;
use spillway_tests::{
    Reason, assert_openai_error, attempts, provider, reason, run,
    standin::{Behaviour, StandinModel},
};

use crate::{chat, served, start, stream};

const YAML: &str = r#"
models:
  - name: llm
    policies:
      rate_limits:
        - rule_name: models
          rule_items:
            - { limit_by_per_model: "", limit_keys: [{ key: "*", query_per_hour: 1 }] }
    routes:
      - match: { model: ["asked-*"] }
        targets: [{ provider: first }, { provider: second }]
        fallback: { on: [gateway_refusal] }
      - match: { model: ["alone-*"] }
        targets: [{ provider: first }]
        fallback: { on: [gateway_refusal] }
      - match: { model: ["plain-*"] }
        targets: [{ provider: first }, { provider: second }]
providers:
  - { name: first, base_url: "$first" }
  - { name: second, base_url: "$second" }
"#;

#[test]
fn a_refused_call_goes_to_the_second_target_where_that_is_asked_for() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        let answer = served(&gateway, "asked-a", "one").await?;
        assert_eq!(provider(&answer.head).as_deref(), Some("first"));
        for request in [chat("asked-a", "two"), stream("asked-a", "three")] {
            let answer = gateway.call(&request).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert_eq!(provider(&answer.head).as_deref(), Some("second"));
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
            reason(&answer.head, Reason::Fallback);
        }
        for model in ["alone-a", "plain-a"] {
            served(&gateway, model, "one").await?;
            for request in [chat(model, "two"), stream(model, "two")] {
                let answer = gateway.call(&request).await?;
                assert_openai_error(&answer, 429);
                assert!(answer.header("retry-after").is_some());
            }
        }
        assert_eq!((first.requests().len(), second.requests().len()), (3, 2));
        second.always(Behaviour::Error(500));
        let answer = gateway.call(&chat("asked-a", "four")).await?;
        assert_openai_error(&answer, 500);
        assert_eq!(
            first.requests().len(),
            3,
            "never to the target it was refused for"
        );
        Ok(())
    })
}

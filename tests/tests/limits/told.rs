//! Where limits stand, as an operator sees it: `/_gateway/api/limits` and `spillway limits`.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, Options, Outcome, Redis, chat_request,
    client::Request,
    run, run_to_end, spillway_binary,
    standin::{Behaviour, EventStream, Gate, StandinModel, Wait},
    stream_request, until,
};

use super::tokens::CHAT;

const TOKEN: &str = "a-token-of-an-operator";

fn yaml(redis: Option<&Redis>, vendor: &StandinModel) -> String {
    let state = redis.map_or_else(String::new, |redis| {
        format!("state: {{ timeout: 1s, redis: \"{}\" }}\n", redis.url())
    });
    format!(
        r#"{state}
admin: {{ token: {TOKEN} }}
consumers:
  - {{ name: dify, credentials: [{{ api_key: sk-1 }}] }}
models:
  - name: llm
    policies:
      auth: [dify]
      token_limits:
        - rule_name: spent
          reserve: max
          rule_items: [{{ limit_by_per_consumer: "", limit_keys: [{{ key: "*", token_per_hour: 4000 }}] }}]
    routes: [{{ targets: [{{ provider: vendor }}] }}]
providers:
  - {{ name: vendor, base_url: "{}" }}
"#,
        vendor.base_url()
    )
}

async fn limits(gateway: &Gateway, token: &str, more: &[&str]) -> Result<Outcome> {
    let mut command = std::process::Command::new(spillway_binary()?);
    let url = format!("http://{}", gateway.address());
    command.args(["limits", "--url", &url]).args(more);
    run_to_end(command.env("SPILLWAY_ADMIN_TOKEN", token)).await
}

/// The one limit that there is, as soon as it stands in the index.
async fn told(gateway: &Gateway) -> Result<Value> {
    until("the limit to be told", async || {
        let told = limits(gateway, TOKEN, &["--format", "json"]).await?;
        let told: Value = serde_json::from_str(&told.output).context(told.errors)?;
        Ok(told.pointer("/limits/0").cloned())
    })
    .await
}

fn number(limit: &Value, name: &str) -> u64 {
    limit.get(name).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

#[test]
fn use_and_reservations_are_told_with_redis_and_without() -> Result<()> {
    run(async {
        let redis = Redis::start().await?;
        for redis in [Some(&redis), None] {
            let vendor = StandinModel::start("vendor")?;
            let gateway = Gateway::start(&yaml(redis, &vendor), Options::default()).await?;
            let of_dify = |body: &Value| Request::json(CHAT, body).bearer("sk-1");
            let answer = gateway.call(&of_dify(&chat_request("m", "hi"))).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let used = answer
                .json()
                .pointer("/usage/total_tokens")
                .and_then(Value::as_u64);
            let limit = told(&gateway).await?;
            assert_eq!(Some(number(&limit, "used")), used, "{limit}");
            assert_eq!(limit.get("value"), Some(&json!("dify")));

            vendor.when(
                "never ends",
                Behaviour::Stream(EventStream::new().wait_before(3, Wait::Release(Gate::new()))),
            );
            let mut body = stream_request("m", "never ends");
            body["max_tokens"] = 1_000.into();
            let mut running = gateway.begin(&of_dify(&body)).await?;
            running.next_block().await?.context("no content")?;
            let limit = told(&gateway).await?;
            let reserved = number(&limit, "reserved");
            assert!((1_000..1_100).contains(&reserved), "{limit}");
            let left = 4_000_u64.saturating_sub(reserved.saturating_add(number(&limit, "used")));
            assert_eq!(number(&limit, "remaining"), left, "{limit}");

            let table = limits(&gateway, TOKEN, &[]).await?;
            assert_eq!(table.code, Some(0), "{}", table.everything());
            for word in ["model/llm", "spent", "dify", "4000 tokens in an hour"] {
                assert!(table.output.contains(word), "{}", table.output);
            }
            drop(running);
        }
        Ok(())
    })
}

#[test]
fn whoever_may_not_ask_is_told_why() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let open = yaml(None, &vendor);
        let gateway = Gateway::start(&open, Options::default()).await?;
        let closed = open.replace(&format!("admin: {{ token: {TOKEN} }}"), "");
        let without = Gateway::start(&closed, Options::default()).await?;
        for (gateway, token, words) in [
            (&gateway, "", "SPILLWAY_ADMIN_TOKEN is not set"),
            (&gateway, "another", "does not take this token"),
            (&without, TOKEN, "has no admin API"),
        ] {
            let refused = limits(gateway, token, &[]).await?;
            assert_eq!(refused.code, Some(1), "{}", refused.everything());
            assert!(refused.errors.contains(words), "{}", refused.errors);
        }
        let missing = limits(&gateway, TOKEN, &["--rule", "nobody's"]).await?;
        assert_eq!(missing.code, Some(0), "{}", missing.everything());
        assert!(missing.errors.contains("no limit"), "{}", missing.errors);
        Ok(())
    })
}

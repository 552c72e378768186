//! What the log and the metrics tell of calls, and what they keep to themselves.

use anyhow::{Context, Result};
use spillway_tests::{
    Gateway, Redis,
    client::Request,
    metrics::{self, Sample},
    run,
    standin::{Behaviour, Reply, StandinModel},
    until,
};

use crate::{chat, on_redis, served, start, stream};

const YAML: &str = r#"
consumers:
  - { name: ann, credentials: [{ api_key: sk-consumer-ann }] }
models:
  - name: llm
    routes:
      - name: two
        targets: [{ provider: first, model: m1 }, { provider: second, model: m2 }]
providers:
  - name: first
    base_url: "$first"
    api_keys: [{ key: sk-provider-one, expires: 2100-01-02 }, sk-provider-two]
    breaker: { open_for: 1s }
  - { name: second, base_url: "$second", api_keys: [sk-provider-three] }
"#;

const SECRETS: [&str; 4] = [
    "sk-consumer-ann",
    "sk-provider-one",
    "sk-provider-two",
    "sk-provider-three",
];

async fn samples(gateway: &Gateway) -> Result<Vec<Sample>> {
    let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
    for secret in SECRETS {
        assert!(!page.text().contains(secret), "{secret} in the metrics");
    }
    metrics::parse(&page.text()).map_err(anyhow::Error::msg)
}

async fn wait_for(
    gateway: &Gateway,
    name: &str,
    labels: &[(&str, &str)],
    least: f64,
) -> Result<()> {
    until(&format!("{name} {labels:?}"), async || {
        let total = metrics::total(&samples(gateway).await?, name, labels);
        Ok((total >= least).then_some(()))
    })
    .await
}

/// The log's line about the call with this request id.
pub(crate) async fn line_of(gateway: &Gateway, id: &str) -> Result<String> {
    until("the call's line", async || {
        let log = gateway.log();
        let wanted = format!("request={id} ");
        let line = log.lines().find(|line| line.contains(&wanted));
        Ok(line.map(str::to_owned))
    })
    .await
}

#[test]
fn a_call_is_one_line_with_every_attempt() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        first.always(Behaviour::Error(503));
        for (number, request) in [chat("asked \"x\"\nname", "one"), stream("asked", "two")]
            .into_iter()
            .enumerate()
        {
            let id = format!("id-{number}");
            let request = request
                .bearer("sk-consumer-ann")
                .header("x-request-id", &id);
            let answer = gateway.call(&request).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let line = line_of(&gateway, &id).await?;
            let at = |vendor: &StandinModel| format!("at={} key=", vendor.url());
            for part in [
                "call api=llm route=\"two\" status=200 reason=fallback",
                "consumer=ann",
                "first/m1",
                "second/m2",
                &at(&first),
                &at(&second),
                "outcome=503",
                "outcome=ok",
                " ms=",
                "output_tokens=",
            ] {
                assert!(line.contains(part), "no {part:?} in {line}");
            }
            let stream = if number == 0 {
                "stream=false"
            } else {
                "stream=true"
            };
            assert!(line.contains(stream), "{line}");
            let digests = line.matches("key=").count() - line.matches("key=-").count();
            assert_eq!(digests, 2, "{line}");
        }
        let log = gateway.log();
        for secret in SECRETS {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
        Ok(())
    })
}

#[test]
fn what_is_ejected_and_taken_back_is_counted_and_logged() -> Result<()> {
    run(async {
        let redis = Redis::start().await?;
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let yaml = on_redis(&redis, YAML);
        let gateway = start(&yaml, &[("first", &first), ("second", &second)]).await?;
        let transition = |kind: &'static str, to: &'static str| {
            [("provider", "first"), ("kind", kind), ("to", to)]
        };
        let name = "spillway_provider_transitions_total";
        first.always(Behaviour::Error(503));
        for _ in 0..6 {
            served(&gateway, "m", "hi").await?;
        }
        wait_for(&gateway, name, &transition("endpoint", "open"), 1.0).await?;
        // Before it has served anybody: a key that serves is not put out by a list of models.
        first.when("sk-provider-two", Behaviour::Error(401));
        first.always(Behaviour::Normal);
        until("the endpoint is used again", async || {
            served(&gateway, "m", "hi").await?;
            Ok(gateway.log().contains("is closed").then_some(()))
        })
        .await?;
        wait_for(&gateway, name, &transition("endpoint", "closed"), 1.0).await?;
        let limited = Reply::new(429).header("Retry-After", "600");
        first.when("sk-provider-one", Behaviour::Reply(limited));
        for _ in 0..4 {
            served(&gateway, "m", "hi").await?;
        }
        wait_for(&gateway, name, &transition("key", "cooling"), 1.0).await?;
        wait_for(&gateway, name, &transition("key", "out"), 1.0).await?;
        let (log, state) = (gateway.log(), redis.everything()?);
        for secret in SECRETS {
            assert!(!log.contains(secret), "{secret} in {log}");
            assert!(!state.contains(secret), "{secret} in {state}");
        }
        for part in ["provider first: endpoint", "provider first: key"] {
            assert!(log.contains(part), "no {part:?} in {log}");
        }
        Ok(())
    })
}

#[test]
fn when_a_key_runs_out_stands_in_the_metrics() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        let name = "spillway_provider_key_expiry_timestamp_seconds";
        let samples = samples(&gateway).await?;
        let found: Vec<&Sample> = samples
            .iter()
            .filter(|sample| sample.name == name)
            .collect();
        assert_eq!(found.len(), 1, "{found:?}");
        let sample = found.first().context("none")?;
        assert!(sample.has(&[("provider", "first")]), "{sample:?}");
        // 2100-01-02T00:00:00Z.
        assert_eq!(sample.value, 4_102_531_200.0);
        Ok(())
    })
}

#[test]
fn what_the_budget_refused_is_counted() -> Result<()> {
    run(async {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let yaml = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: first }, { provider: second }]
        fallback: { max_attempts: 10, back_off: 1ms }
providers:
  - { name: first, base_url: "$first", breaker: { failures: 100, of: 100 } }
  - { name: second, base_url: "$second", breaker: { failures: 100, of: 100 } }
"#;
        let gateway = start(yaml, &[("first", &first), ("second", &second)]).await?;
        for vendor in [&first, &second] {
            vendor.always(Behaviour::Error(500));
        }
        for _ in 0..8 {
            gateway.call(&chat("m", "hi")).await?;
        }
        let labels = [("name", "llm"), ("reason", "budget")];
        wait_for(
            &gateway,
            "spillway_model_retries_refused_total",
            &labels,
            1.0,
        )
        .await
    })
}

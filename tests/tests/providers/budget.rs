//! Retries do not become a storm when everything is down.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Redis, run,
    standin::{Behaviour, Reply, StandinModel},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{chat, on_redis, start, stream};

/// 200 a second for 10 s.
const CALLS: usize = 2000;
/// A fifth more.
const MOST: usize = 2400;
const PACE: Duration = Duration::from_millis(5);

const TWO_TARGETS: &str = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: first }, { provider: second }]
providers:
  - { name: first, base_url: "$first" }
  - { name: second, base_url: "$second", api_keys: [sk-one, sk-two] }
"#;

const ENGINES: &str = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: engines }, { provider: more-engines }]
providers:
  - { name: engines, base_url: "$first" }
  - { name: more-engines, base_url: "$second" }
"#;

const ONE_WAY: &str = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: first }]
providers:
  - { name: first, base_url: "$first" }
"#;

const EAGER: &str = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: first }, { provider: second }]
        fallback: { max_attempts: 10, back_off: 10ms }
providers:
  - { name: first, base_url: "$first" }
  - { name: second, base_url: "$second" }
"#;

/// So many calls are in flight at most where each is answered at once: on a machine that does not keep up they would pile
/// up, and with them instances, each of which has to find out for itself what has failed.
const UNDER_WAY: usize = 64;

/// Asserts that the upstreams see no more than a fifth beyond the clients' calls, of which so many are in flight.
async fn assert_no_storm(
    yaml: &str,
    redis: Option<&Redis>,
    failure: Behaviour,
    under_way: usize,
) -> Result<()> {
    let (first, second) = (
        StandinModel::start("first")?,
        StandinModel::start("second")?,
    );
    for vendor in [&first, &second] {
        vendor.always(failure.clone());
    }
    let yaml = redis.map_or_else(|| yaml.to_owned(), |redis| on_redis(redis, yaml));
    let gateway = Arc::new(start(&yaml, &[("first", &first), ("second", &second)]).await?);
    let mut calls = JoinSet::new();
    let mut pace = tokio::time::interval(PACE);
    let places = Arc::new(Semaphore::new(under_way));
    for number in 0..CALLS {
        pace.tick().await;
        let gateway = Arc::clone(&gateway);
        let place = Arc::clone(&places).acquire_owned().await?;
        let request = if number % 2 == 0 {
            chat("m", "hi")
        } else {
            stream("m", "hi")
        };
        calls.spawn(async move {
            let answer = gateway.call(&request).await;
            drop(place);
            answer
        });
    }
    while let Some(answer) = calls.join_next().await {
        let answer = answer??;
        // Told in the stream where the wait for a busy engine was longer than `keep_alive`.
        let is_told = answer.status() >= 400 || answer.text().contains("data: {\"error\"");
        assert!(is_told, "{}", answer.text());
    }
    let upstream: usize = [&first, &second]
        .map(|vendor| vendor.requests().len())
        .iter()
        .sum();
    assert!(
        upstream <= MOST,
        "{CALLS} calls of clients became {upstream} calls upstream"
    );
    Ok(())
}

#[test]
fn two_targets_that_fail() -> Result<()> {
    run(assert_no_storm(
        TWO_TARGETS,
        None,
        Behaviour::Error(503),
        UNDER_WAY,
    ))
}

#[test]
fn two_targets_that_fail_on_redis() -> Result<()> {
    run(async {
        let redis = Redis::start().await?;
        assert_no_storm(TWO_TARGETS, Some(&redis), Behaviour::Error(503), UNDER_WAY).await
    })
}

#[test]
fn a_single_target_that_resets() -> Result<()> {
    run(assert_no_storm(ONE_WAY, None, Behaviour::Reset, UNDER_WAY))
}

#[test]
fn two_targets_that_fail_and_many_attempts() -> Result<()> {
    run(assert_no_storm(
        EAGER,
        None,
        Behaviour::Error(500),
        UNDER_WAY,
    ))
}

/// There is no key to cool: the engines themselves are passed by, calls wait for them, and do not come all at once.
#[test]
fn two_engines_without_keys_that_are_overloaded() -> Result<()> {
    let full = Reply::json(429, &json!({"error": {"message": "the queue is full"}}));
    run(assert_no_storm(
        ENGINES,
        None,
        Behaviour::Reply(full),
        CALLS,
    ))
}

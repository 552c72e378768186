//! What one consumer causes by what it writes ejects nothing for another.

use anyhow::{Context, Result};
use serde_json::json;
use spillway_tests::{
    Gateway, Redis, attempts,
    client::{Request, Response},
    provider, run,
    standin::{Behaviour, Reply, StandinModel},
    until,
};

use crate::{calls, chat, count_with_key, on_redis, start};

const YAML: &str = r#"
consumers:
  - { name: ann, credentials: [{ api_key: sk-ann }] }
  - { name: bob, credentials: [{ api_key: sk-bob }] }
  - { name: cid, credentials: [{ api_key: sk-cid }] }
models:
  - name: llm
    policies: { auth: [ann, bob, cid] }
    routes:
      - targets: [{ provider: first }, { provider: second }]
providers:
  - { name: first, base_url: "$first", api_keys: [sk-shared], breaker: { open_for: 10m } }
  - { name: second, base_url: "$second" }
"#;

/// Stands in the calls that the vendor trips over, and in nothing else.
const MARK: &str = "what-it-trips-over";

struct Two {
    redis: Redis,
    gateways: [Gateway; 2],
    first: StandinModel,
    second: StandinModel,
}

impl Two {
    async fn start() -> Result<Self> {
        let redis = Redis::start().await?;
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let yaml = on_redis(&redis, YAML);
        let gateways = [
            start(&yaml, &[("first", &first), ("second", &second)]).await?,
            start(&yaml, &[("first", &first), ("second", &second)]).await?,
        ];
        Ok(Self {
            redis,
            gateways,
            first,
            second,
        })
    }

    /// Calls one of the gateways in turn.
    async fn call(&self, number: usize, key: &str, text: &str) -> Result<Response> {
        let request = chat("m", text).bearer(key);
        let mut gateways = self.gateways.iter().cycle();
        let gateway = gateways.nth(number).context("there are two")?;
        let answer = gateway.call(&request).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        Ok(answer)
    }

    /// Makes sure that the first provider serves a consumer at once.
    async fn serves(&self, key: &str, what: &str) -> Result<()> {
        for number in 0..4 {
            let answer = self.call(number, key, "harmless").await?;
            let served = provider(&answer.head);
            assert_eq!(served.as_deref(), Some("first"), "{key}: {what}");
            assert_eq!(
                attempts(&answer.head).as_deref(),
                Some("1"),
                "{key}: {what}"
            );
        }
        Ok(())
    }

    /// Waits until a consumer's calls are not sent to the first provider any more.
    async fn leaves(&self, key: &str) -> Result<()> {
        until(&format!("calls of {key} pass the first by"), async || {
            let mut passes = true;
            for number in 0..4 {
                let answer = self.call(number, key, "harmless").await?;
                passes &= provider(&answer.head).as_deref() == Some("second")
                    && attempts(&answer.head).as_deref() == Some("1");
            }
            Ok(passes.then_some(()))
        })
        .await
    }

    /// Whether one of them found, without a second consumer, that the endpoint is to blame.
    fn is_open_for_all(&self) -> bool {
        let log = self.log();
        log.lines().any(|line| line.ends_with(" is open for 600 s"))
    }

    fn log(&self) -> String {
        self.gateways.iter().map(Gateway::log).collect()
    }
}

fn limited() -> Behaviour {
    let reply = Reply::json(429, &json!({"error": {"message": "Request too large"}}));
    Behaviour::Reply(reply.header("Retry-After", "3000"))
}

#[test]
fn what_a_body_provokes_keeps_its_own_consumer_away_and_nobody_else() -> Result<()> {
    run(async {
        for (what, behaviour) in [
            ("500", Behaviour::Error(500)),
            ("503", Behaviour::Error(503)),
            ("reset", Behaviour::Reset),
            ("garbage", Behaviour::Garbage),
            ("401", Behaviour::Error(401)),
            ("402", Behaviour::Error(402)),
            ("403", Behaviour::Error(403)),
            ("429", limited()),
        ] {
            let two = Two::start().await?;
            two.first.when(MARK, behaviour);
            for number in 0..14 {
                let answer = two.call(number, "sk-ann", MARK).await?;
                assert_eq!(provider(&answer.head).as_deref(), Some("second"), "{what}");
                two.serves("sk-bob", what).await?;
            }
            two.serves("sk-cid", what).await?;
            let log = two.log();
            assert!(!log.contains(" is out"), "{what}: {log}");
            for line in log.lines().filter(|line| line.contains("provider first:")) {
                assert!(line.contains(", for consumer ann"), "{what}: {line}");
            }
        }
        Ok(())
    })
}

#[test]
fn files_and_responses_count_for_their_consumer_as_well() -> Result<()> {
    run(async {
        for status in [500, 401] {
            let two = Two::start().await?;
            two.first.when(MARK, Behaviour::Error(status));
            for number in 0..14 {
                let request = Request::get(&format!("/llm/v1/files/{MARK}")).bearer("sk-ann");
                let answer = two.gateways[number % 2].call(&request).await?;
                assert_eq!(answer.status(), crate::told(status), "{}", answer.text());
            }
            two.serves("sk-bob", &status.to_string()).await?;
        }
        Ok(())
    })
}

#[test]
fn a_dead_endpoint_is_ejected_by_all_however_few_call() -> Result<()> {
    run(async {
        let two = Two::start().await?;
        two.first.kill().await;
        for number in 0..30 {
            two.call(number, "sk-ann", "hi").await?;
        }
        two.leaves("sk-bob").await?;
        let state = two.redis.everything()?;
        assert!(state.contains("open:"), "{state}");
        Ok(())
    })
}

#[test]
fn where_the_probe_fails_as_well_all_leave_the_endpoint_alone() -> Result<()> {
    run(async {
        let two = Two::start().await?;
        two.first.always(Behaviour::Error(503));
        for number in 0..30 {
            two.call(number, "sk-ann", "hi").await?;
        }
        until("the endpoint is open for everybody", async || {
            Ok(two.is_open_for_all().then_some(()))
        })
        .await?;
        two.leaves("sk-bob").await?;
        Ok(())
    })
}

#[test]
fn an_engine_that_lists_its_models_and_answers_nothing_else_is_found_out_by_two() -> Result<()> {
    run(async {
        let two = Two::start().await?;
        // Chats, and no list of models.
        two.first.when("\"messages\"", Behaviour::Error(500));
        for key in ["sk-ann", "sk-bob"] {
            for number in 0..30 {
                two.call(number, key, "hi").await?;
            }
            two.leaves(key).await?;
        }
        two.leaves("sk-cid").await?;
        let seen = calls(&two.first).len();
        assert!(seen <= 40, "{seen} of 60 calls and more went there");
        assert!(!two.is_open_for_all(), "{}", two.log());
        Ok(())
    })
}

#[test]
fn a_dead_key_of_a_provider_without_a_list_of_models_is_tried_once_in_a_while() -> Result<()> {
    run(async {
        let two = Two::start().await?;
        two.first.when("/v1/models", Behaviour::Error(404));
        two.first.when("\"messages\"", Behaviour::Error(401));
        two.call(0, "sk-ann", "hi").await?;
        until("all know that it is suspect", async || {
            Ok(two.redis.everything()?.contains("suspect:").then_some(()))
        })
        .await?;
        two.leaves("sk-ann").await?;
        for number in 0..30 {
            two.call(number, "sk-ann", "later").await?;
        }
        let later = two.first.requests_mentioning("later");
        assert_eq!(count_with_key(&later, "sk-shared"), 0);
        two.call(0, "sk-bob", "other").await?;
        assert_eq!(two.first.requests_mentioning("other").len(), 1);
        assert!(!two.second.requests_mentioning("other").is_empty());
        assert!(!two.log().contains(" is out"), "{}", two.log());
        Ok(())
    })
}

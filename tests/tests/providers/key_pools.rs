//! A provider's keys: which are ejected, for whose fault, and on which gateways.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Redis, attempts, run,
    standin::{Behaviour, ModelOptions, Reply, StandinModel},
    until,
};
use tokio::task::JoinSet;

use crate::{calls, chat, count_with_key, on_redis, served, start};

const KEYS: [&str; 3] = ["sk-pool-good-1", "sk-pool-bad-2", "sk-pool-good-3"];
const BAD: &str = KEYS[1];

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: vendor }]
providers:
  - { name: vendor, base_url: "$vendor", api_keys: [sk-pool-good-1, sk-pool-bad-2, sk-pool-good-3] }
"#;

/// A vendor that takes two of the three keys.
fn vendor() -> Result<StandinModel> {
    Ok(StandinModel::start_with(ModelOptions {
        name: "vendor".to_owned(),
        api_keys: vec![KEYS[0].to_owned(), KEYS[2].to_owned()],
        models: Vec::new(),
    })?)
}

#[test]
fn a_bad_key_costs_one_401_and_a_probe_on_all_gateways_and_no_answer() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, vendor()?);
        let yaml = on_redis(&redis, YAML);
        let one = start(&yaml, &[("vendor", &vendor)]).await?;
        let other = start(&yaml, &[("vendor", &vendor)]).await?;
        for _ in 0..30 {
            served(&one, "m", "hi").await?;
        }
        assert_eq!(count_with_key(&calls(&vendor), BAD), 1);
        until("the key is out for everybody", async || {
            Ok(redis.everything()?.contains("out:").then_some(()))
        })
        .await?;
        for _ in 0..30 {
            let answer = served(&other, "m", "hi").await?;
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
        }
        assert_eq!(count_with_key(&calls(&vendor), BAD), 1);
        let all = count_with_key(&vendor.requests(), BAD);
        assert_eq!(all, 2, "the call, and the probe that confirmed it");
        for good in [KEYS[0], KEYS[2]] {
            let count = count_with_key(&vendor.requests(), good);
            assert!(count >= 20, "{good} served {count} of 60 calls");
        }
        let state = redis.everything()?;
        for key in KEYS {
            assert!(!state.contains(key), "Redis has {key}: {state}");
        }
        Ok(())
    })
}

/// It has served a moment ago, so its provider's list of models alone does not put it out; but nobody is sent there for
/// a minute.
#[test]
fn a_key_that_is_revoked_in_flight_costs_each_gateway_one_401() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        let yaml = on_redis(&redis, YAML);
        let gateways = [
            start(&yaml, &[("vendor", &vendor)]).await?,
            start(&yaml, &[("vendor", &vendor)]).await?,
        ];
        for number in 0..20 {
            served(&gateways[number % 2], "m", "before").await?;
        }
        vendor.when(BAD, Behaviour::Error(401));
        for number in 0..20 {
            served(&gateways[number % 2], "m", "after").await?;
        }
        let seen = count_with_key(&vendor.requests_mentioning("after"), BAD);
        assert!((1..=2).contains(&seen), "{seen} calls with the revoked key");
        until("the other gateway is told", async || {
            Ok(redis.everything()?.contains("suspect:").then_some(()))
        })
        .await?;
        for number in 0..60 {
            served(&gateways[number % 2], "m", "later").await?;
        }
        let later = count_with_key(&vendor.requests_mentioning("later"), BAD);
        assert!(seen + later <= 2, "{seen} and then {later} calls");
        Ok(())
    })
}

#[test]
fn a_bad_key_under_concurrent_calls_costs_no_answer_without_redis() -> Result<()> {
    run(async {
        let vendor = vendor()?;
        let gateway = std::sync::Arc::new(start(YAML, &[("vendor", &vendor)]).await?);
        let mut calls = JoinSet::new();
        for _ in 0..32 {
            let gateway = std::sync::Arc::clone(&gateway);
            calls.spawn(async move { served(&gateway, "m", "hi").await });
        }
        while let Some(call) = calls.join_next().await {
            call??;
        }
        Ok(())
    })
}

#[test]
fn a_hundred_faults_of_clients_eject_nothing() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        let gateway = start(&on_redis(&redis, YAML), &[("vendor", &vendor)]).await?;
        for number in 0..100 {
            let status = [400, 404, 409, 413, 422][number % 5];
            vendor.next(Behaviour::Error(status));
            let answer = gateway.call(&chat("m", "faulty")).await?;
            assert_eq!(answer.status(), status);
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"), "{status}");
        }
        for _ in 0..12 {
            let answer = served(&gateway, "m", "fine").await?;
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
        }
        for key in KEYS {
            let count = count_with_key(&vendor.requests_mentioning("fine"), key);
            assert!(count >= 3, "{key} served {count} of 12 calls");
        }
        let log = gateway.log();
        assert!(!log.contains("provider vendor:"), "{log}");
        Ok(())
    })
}

#[test]
fn a_limited_key_cools_and_the_others_serve() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        let gateway = start(&on_redis(&redis, YAML), &[("vendor", &vendor)]).await?;
        let limited = Reply::json(429, &json!({"error": {"message": "slow down"}}));
        vendor.when(BAD, Behaviour::Reply(limited.header("Retry-After", "3000")));
        for _ in 0..30 {
            served(&gateway, "m", "hi").await?;
        }
        assert_eq!(count_with_key(&vendor.requests(), BAD), 1);
        let state = redis.everything()?;
        assert!(state.contains("cooling:"), "{state}");
        Ok(())
    })
}

#[test]
fn keys_share_the_calls_by_weight_and_only_within_their_time() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let yaml = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: vendor }]
providers:
  - name: vendor
    base_url: "$vendor"
    api_keys:
      - sk-weight-one
      - { key: sk-weight-three, weight: 3, expires: 2100-01-01 }
      - { key: sk-over, expires: 2020-01-01 }
      - { key: sk-not-yet, not_before: 2100-01-01T00:00:00Z }
"#;
        let gateway = start(yaml, &[("vendor", &vendor)]).await?;
        for _ in 0..80 {
            served(&gateway, "m", "hi").await?;
        }
        let count = |key| count_with_key(&vendor.requests(), key);
        assert_eq!((count("sk-over"), count("sk-not-yet")), (0, 0));
        let share = count("sk-weight-three");
        assert!((55..=65).contains(&share), "{share} of 80 calls, not 60");
        assert_eq!(share + count("sk-weight-one"), 80);
        Ok(())
    })
}

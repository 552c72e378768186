//! Endpoints: used in turn, ejected when they fail, tried again later.

use anyhow::Result;
use spillway_tests::{
    Redis, attempts, run,
    standin::{Behaviour, StandinModel},
    until,
};

use crate::{calls, on_redis, served, start};

/// One provider on two machines.
fn yaml(open_for: &str) -> String {
    format!(
        r#"
models:
  - name: llm
    routes:
      - targets: [{{ provider: own }}]
providers:
  - name: own
    endpoints: ["$first", "$second"]
    breaker: {{ open_for: {open_for} }}
"#
    )
}

fn machines() -> Result<(StandinModel, StandinModel)> {
    Ok((
        StandinModel::start("first")?,
        StandinModel::start("second")?,
    ))
}

#[test]
fn endpoints_are_used_in_turn() -> Result<()> {
    run(async {
        let (first, second) = machines()?;
        let gateway = start(&yaml("10m"), &[("first", &first), ("second", &second)]).await?;
        for _ in 0..20 {
            served(&gateway, "m", "hi").await?;
        }
        let counts = [first.requests().len(), second.requests().len()];
        assert!(
            counts.iter().all(|count| (8..=12).contains(count)),
            "{counts:?}"
        );
        Ok(())
    })
}

#[test]
fn a_failing_endpoint_costs_no_answer_and_is_ejected_after_five_failures() -> Result<()> {
    run(async {
        for failure in [Behaviour::Reset, Behaviour::Error(503), Behaviour::Garbage] {
            let redis = Redis::start().await?;
            let (first, second) = machines()?;
            let yaml = on_redis(&redis, &yaml("10m"));
            let gateway = start(&yaml, &[("first", &first), ("second", &second)]).await?;
            first.always(failure.clone());
            for _ in 0..30 {
                served(&gateway, "m", "hi").await?;
            }
            assert_eq!(calls(&first).len(), 5, "{failure:?}");
            for _ in 0..10 {
                let answer = served(&gateway, "m", "hi").await?;
                assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
            }
        }
        Ok(())
    })
}

#[test]
fn a_dead_endpoint_costs_no_answer() -> Result<()> {
    run(async {
        let (first, second) = machines()?;
        let gateway = start(&yaml("10m"), &[("first", &first), ("second", &second)]).await?;
        for number in 0..60 {
            if number == 20 {
                first.kill().await;
            }
            served(&gateway, "m", "hi").await?;
        }
        Ok(())
    })
}

#[test]
fn after_a_while_one_call_tries_and_the_endpoint_is_used_again() -> Result<()> {
    run(async {
        let redis = Redis::start().await?;
        let (first, second) = machines()?;
        let yaml = on_redis(&redis, &yaml("1s"));
        let gateway = start(&yaml, &[("first", &first), ("second", &second)]).await?;
        first.always(Behaviour::Error(503));
        until("the endpoint is ejected", async || {
            served(&gateway, "m", "hi").await?;
            Ok(gateway.log().contains("is open for").then_some(()))
        })
        .await?;
        first.always(Behaviour::Normal);
        until("the endpoint is used again", async || {
            served(&gateway, "m", "back").await?;
            Ok(gateway.log().contains("is closed").then_some(()))
        })
        .await?;
        until("nobody has it for open any more", async || {
            served(&gateway, "m", "hi").await?;
            Ok((!redis.everything()?.contains("open:")).then_some(()))
        })
        .await?;
        for _ in 0..20 {
            served(&gateway, "m", "both").await?;
        }
        let share = first.requests_mentioning("both").len();
        assert!((8..=12).contains(&share), "{share} of 20");
        Ok(())
    })
}

#[test]
fn what_one_gateway_found_the_other_knows() -> Result<()> {
    run(async {
        let redis = Redis::start().await?;
        let (first, second) = machines()?;
        let yaml = on_redis(&redis, &yaml("10m"));
        let one = start(&yaml, &[("first", &first), ("second", &second)]).await?;
        let other = start(&yaml, &[("first", &first), ("second", &second)]).await?;
        first.always(Behaviour::Error(503));
        for _ in 0..30 {
            served(&one, "m", "from-one").await?;
        }
        until("the other gateway can know it", async || {
            Ok(redis.everything()?.contains("open:").then_some(()))
        })
        .await?;
        for _ in 0..20 {
            let answer = served(&other, "m", "from-other").await?;
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
        }
        assert!(first.requests_mentioning("from-other").is_empty());
        Ok(())
    })
}

#[test]
fn without_redis_each_finds_out_and_nothing_is_lost() -> Result<()> {
    run(async {
        let (first, second) = machines()?;
        let gateway = start(&yaml("10m"), &[("first", &first), ("second", &second)]).await?;
        first.always(Behaviour::Error(500));
        for _ in 0..40 {
            served(&gateway, "m", "hi").await?;
        }
        // Five an instance; the host may have replaced one or two that were idle.
        let seen = calls(&first).len();
        assert!(
            (5..20).contains(&seen),
            "half of 40 calls went there: {seen}"
        );
        Ok(())
    })
}

#[test]
fn the_only_endpoint_is_called_however_often_it_has_failed() -> Result<()> {
    run(async {
        let first = StandinModel::start("first")?;
        let yaml = r#"
models:
  - name: llm
    routes: [{ targets: [{ provider: own }] }]
providers:
  - { name: own, base_url: "$first", breaker: { open_for: 10m } }
"#;
        let gateway = start(yaml, &[("first", &first)]).await?;
        first.always(Behaviour::Error(503));
        for _ in 0..10 {
            let answer = gateway.call(&crate::chat("m", "hi")).await?;
            assert_eq!(answer.status(), 503);
        }
        first.always(Behaviour::Normal);
        served(&gateway, "m", "hi").await?;
        Ok(())
    })
}

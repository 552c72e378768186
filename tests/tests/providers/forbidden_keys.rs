//! 403: about the key, or about what was asked.

use anyhow::Result;
use spillway_tests::{
    Gateway, Redis, run,
    standin::{Behaviour, StandinModel},
    until,
};

use crate::{chat, count_with_key, on_redis, served, start};

const KEYS: [&str; 2] = ["sk-project-1", "sk-project-2"];

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - targets: [{ provider: vendor }]
providers:
  - { name: vendor, base_url: "$vendor", api_keys: [sk-project-1, sk-project-2] }
"#;

/// Asks for the model that nobody may use, and waits until both keys are used again for others.
async fn refused_and_back(gateway: &Gateway, vendor: &StandinModel, mark: &str) -> Result<()> {
    let answer = gateway.call(&chat("secret-model", mark)).await?;
    assert_eq!(answer.status(), 403, "{}", answer.text());
    until(&format!("both keys serve again ({mark})"), async || {
        let text = format!("after-{mark}");
        for _ in 0..4 {
            served(gateway, "plain", &text).await?;
        }
        let seen = vendor.requests_mentioning(&text);
        let all = KEYS.iter().all(|key| count_with_key(&seen, key) > 0);
        Ok(all.then_some(()))
    })
    .await
}

#[test]
fn a_key_that_may_not_use_one_model_stays_in_use_for_others() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        vendor.when("secret-model", Behaviour::Error(403));
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        refused_and_back(&gateway, &vendor, "one").await?;
        let probes: Vec<_> = vendor
            .requests()
            .into_iter()
            .filter(|request| request.method == "GET")
            .collect();
        assert!(!probes.is_empty(), "no probe came");
        assert!(
            probes.iter().all(|probe| probe.target == "/v1/models"),
            "{probes:?}"
        );
        let chats = vendor.requests_mentioning("\"ping\"");
        assert!(chats.is_empty(), "a paid probe: {chats:?}");
        Ok(())
    })
}

#[test]
fn the_same_on_two_gateways_of_one_redis() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        vendor.when("secret-model", Behaviour::Error(403));
        let yaml = on_redis(&redis, YAML);
        let one = start(&yaml, &[("vendor", &vendor)]).await?;
        let other = start(&yaml, &[("vendor", &vendor)]).await?;
        refused_and_back(&one, &vendor, "one").await?;
        refused_and_back(&other, &vendor, "other").await
    })
}

#[test]
fn a_key_that_may_do_nothing_is_ejected_and_not_out() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        vendor.when(KEYS[0], Behaviour::Error(403));
        let gateway = start(&on_redis(&redis, YAML), &[("vendor", &vendor)]).await?;
        for _ in 0..20 {
            served(&gateway, "plain", "hi").await?;
        }
        let chats = count_with_key(&vendor.requests_mentioning("hi"), KEYS[0]);
        assert_eq!(chats, 1, "it was used once");
        assert!(!gateway.log().contains(" is out"), "{}", gateway.log());
        Ok(())
    })
}

#[test]
fn a_probe_goes_to_an_endpoint_that_answers() -> Result<()> {
    run(async {
        let (dead, vendor) = (StandinModel::start("dead")?, StandinModel::start("vendor")?);
        vendor.when("secret-model", Behaviour::Error(403));
        dead.kill().await;
        let yaml = YAML.replace(
            "base_url: \"$vendor\"",
            "endpoints: [\"$dead\", \"$vendor\"]",
        );
        let gateway = start(&yaml, &[("dead", &dead), ("vendor", &vendor)]).await?;
        let answer = gateway.call(&chat("secret-model", "hi")).await?;
        assert_eq!(answer.status(), 403, "{}", answer.text());
        // The one that has just answered is there; else the calls that follow wait for the key in vain.
        vendor.wait_for_request("spillway-probe").await?;
        Ok(())
    })
}

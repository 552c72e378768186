//! Header fields of clients that only some providers get, and a wrong one of which is refused.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Gateway, Redis, assert_openai_error, attempts,
    client::{Request, Response},
    run,
    standin::{Behaviour, StandinModel},
    until,
};

use crate::{calls, chat, count_with_key, on_redis, start};

const KEYS: [&str; 2] = ["sk-acme-1", "sk-acme-2"];

const YAML: &str = r#"
consumers:
  - { name: ann, credentials: [{ api_key: sk-ann }] }
  - { name: bob, credentials: [{ api_key: sk-bob }] }
models:
  - name: llm
    policies: { auth: [ann, bob] }
    routes:
      - targets: [{ provider: vendor }]
providers:
  - { name: vendor, base_url: "$vendor", api_keys: [sk-acme-1, sk-acme-2] }
"#;

const OF_THE_VENDOR: &str = "base_url: \"$vendor\"";

/// The same with a provider that gets both fields.
fn forwarding() -> String {
    let setting = "forward_headers: [OpenAI-Organization, openai-project]";
    YAML.replace(OF_THE_VENDOR, &format!("{OF_THE_VENDOR}, {setting}"))
}

fn foreign(request: Request) -> Request {
    request
        .header("openai-organization", "org-of-somebody-else")
        .header("OpenAI-Project", "proj-of-somebody-else")
        .bearer("sk-ann")
}

async fn as_bob(gateway: &Gateway, text: &str) -> Result<Response> {
    let answer = gateway.call(&chat("m", text).bearer("sk-bob")).await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Ok(answer)
}

/// A vendor that knows neither the organisation nor the project.
fn vendor() -> Result<StandinModel> {
    let vendor = StandinModel::start("vendor")?;
    vendor.when("of-somebody-else", Behaviour::Error(401));
    Ok(vendor)
}

#[test]
fn a_clients_organisation_and_project_stay_here() -> Result<()> {
    run(async {
        let vendor = vendor()?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let batch = Request::json("/llm/v1/batches", &json!({"input_file_id": "f"}));
        for (request, status) in [(chat("m", "hi"), 200), (batch, 404)] {
            let answer = gateway.call(&foreign(request)).await?;
            assert_eq!(answer.status(), status, "{}", answer.text());
        }
        let seen = vendor.requests();
        assert_eq!(seen.len(), 2);
        for request in seen {
            for name in ["openai-organization", "openai-project"] {
                assert_eq!(request.header(name), None);
            }
        }
        Ok(())
    })
}

#[test]
fn a_provider_gets_those_that_its_configuration_names() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(&forwarding(), &[("vendor", &vendor)]).await?;
        let batch = Request::json("/llm/v1/batches", &json!({"input_file_id": "f"}));
        for request in [chat("m", "hi"), batch] {
            gateway
                .call(&foreign(request).header("x-other", "of-nobody"))
                .await?;
        }
        let seen = vendor.requests();
        assert_eq!(seen.len(), 2);
        for request in seen {
            for (name, value) in [
                ("openai-organization", Some("org-of-somebody-else")),
                ("openai-project", Some("proj-of-somebody-else")),
                ("x-other", None),
            ] {
                assert_eq!(request.header(name).as_deref(), value, "{name}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_foreign_organisation_takes_no_key_from_others() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, vendor()?);
        let yaml = on_redis(&redis, &forwarding());
        let gateways = [
            start(&yaml, &[("vendor", &vendor)]).await?,
            start(&yaml, &[("vendor", &vendor)]).await?,
        ];
        for round in 0..10 {
            let gateway = &gateways[round % 2];
            let refused = gateway.call(&foreign(chat("m", "mine"))).await?;
            assert_openai_error(&refused, 502);
            let file = foreign(Request::get("/llm/v1/files/f"));
            assert_openai_error(&gateway.call(&file).await?, 502);
            for gateway in &gateways {
                let answer = as_bob(gateway, "theirs").await?;
                assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
            }
        }
        vendor.wait_for_request("spillway-probe").await?;
        for key in KEYS {
            let served = count_with_key(&vendor.requests_mentioning("theirs"), key);
            assert!(served >= 4, "{key} served {served} of 20 calls");
        }
        let log: String = gateways.iter().map(Gateway::log).collect();
        assert!(!log.contains(" is out"), "{log}");
        let state = redis.everything()?;
        assert!(!state.contains("out:"), "{state}");
        Ok(())
    })
}

#[test]
fn a_key_that_is_refused_whoever_asks_is_out_for_all_once_a_probe_confirms_it() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, vendor()?);
        let yaml = on_redis(&redis, &forwarding());
        let one = start(&yaml, &[("vendor", &vendor)]).await?;
        let other = start(&yaml, &[("vendor", &vendor)]).await?;
        vendor.when(KEYS[0], Behaviour::Error(401));
        for _ in 0..4 {
            as_bob(&one, "before").await?;
        }
        until("the key is out for everybody", async || {
            Ok(redis.everything()?.contains("out:").then_some(()))
        })
        .await?;
        let before = count_with_key(&calls(&vendor), KEYS[0]);
        for _ in 0..10 {
            let answer = as_bob(&other, "after").await?;
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
        }
        assert_eq!(count_with_key(&calls(&vendor), KEYS[0]), before);
        let probes = count_with_key(&vendor.requests_mentioning("spillway-probe"), KEYS[0]);
        assert!(probes >= 1, "no probe confirmed it");
        Ok(())
    })
}

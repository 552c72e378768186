//! Ways round what a consumer may do, by what is passed on unread.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Gateway,
    client::Request,
    run,
    standin::{Behaviour, Reply, StandinModel},
};

use crate::start;

const YAML: &str = r#"
consumers:
  - { name: few, credentials: [{ api_key: sk-of-few }], models: [cheap] }
models:
  - name: llm
    policies: { auth: [few], api_key_query: key }
    routes: [{ targets: [{ provider: vendor }], parameters: { caps: { max_output_tokens: 10 } } }]
providers:
  - { name: vendor, base_url: "$vendor" }
"#;

async fn vendor_and_gateway() -> Result<(StandinModel, Gateway)> {
    let vendor = StandinModel::start("vendor")?;
    vendor.always(Behaviour::Reply(Reply::json(200, &json!({"id": "x"}))));
    let gateway = start(YAML, &[("vendor", &vendor)]).await?;
    Ok((vendor, gateway))
}

#[test]
fn a_key_in_the_query_stays_here() -> Result<()> {
    run(async {
        let (vendor, gateway) = vendor_and_gateway().await?;
        for target in [
            "/llm/v1/files?key=sk-of-few&limit=1",
            "/llm/v1/files?limit=1&key=sk-of-few",
            "/llm/v1/files/f-1?limit=1&%6Bey=sk-of-few",
        ] {
            let answer = gateway.call(&Request::get(target)).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        for seen in vendor.requests() {
            assert!(!seen.mentions("sk-of-few"), "{}", seen.target);
            assert!(seen.target.ends_with("?limit=1"), "{}", seen.target);
        }
        Ok(())
    })
}

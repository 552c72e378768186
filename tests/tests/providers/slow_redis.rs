//! A Redis that does not answer while calls come.

use std::sync::Arc;

use anyhow::Result;
use spillway_tests::{Gateway, Redis, client::Response, run, standin::StandinModel};
use tokio::task::JoinSet;

use crate::{on_redis, served, start};

const YAML: &str = r#"
models:
  - name: llm
    routes: [{ targets: [{ provider: vendor }] }]
providers:
  - { name: vendor, base_url: "$vendor", api_keys: [sk-one, sk-two] }
"#;

fn all_at_once(gateway: &Arc<Gateway>) -> JoinSet<Result<Response>> {
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let gateway = Arc::clone(gateway);
        calls.spawn(async move { served(&gateway, "m", "hi").await });
    }
    calls
}

async fn all_served(gateway: &Arc<Gateway>, mut calls: JoinSet<Result<Response>>) -> Result<()> {
    while let Some(call) = calls.join_next().await {
        call??;
    }
    gateway.assert_no_trap();
    Ok(())
}

#[test]
fn concurrent_calls_are_served_while_redis_does_not_answer() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        let yaml = on_redis(&redis, YAML);
        let gateway = Arc::new(start(&yaml, &[("vendor", &vendor)]).await?);
        redis.freeze(true)?;
        for _ in 0..4 {
            all_served(&gateway, all_at_once(&gateway)).await?;
        }
        redis.freeze(false)?;
        all_served(&gateway, all_at_once(&gateway)).await
    })
}

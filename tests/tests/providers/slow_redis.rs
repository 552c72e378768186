//! A Redis that does not answer while calls come.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use spillway_tests::{
    Gateway, Redis,
    client::Response,
    run,
    standin::{ReservedPort, StandinModel},
    until,
};
use tokio::{net::TcpStream, task::JoinSet};

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

/// A way to Redis that takes a while until it is open, as over TLS or from far away.
async fn far_away(redis: &Redis, port: &ReservedPort) -> Result<()> {
    let (listener, address) = (port.listen()?, redis.url().replace("redis://", ""));
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let address = address.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(40)).await;
                let mut far = TcpStream::connect(address).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    Ok(())
}

#[test]
fn concurrent_calls_wait_for_one_connection_without_harm() -> Result<()> {
    run(async {
        let (mut redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        let port = ReservedPort::reserve()?;
        far_away(&redis, &port).await?;
        // Each call asks Redis.
        let limits = "policies: { rate_limits: [{ rule_name: all, global_threshold: { query_per_second: 10000 } }] }";
        let yaml = YAML.replace("name: llm", &format!("name: llm\n    {limits}"));
        let yaml = format!("state: {{ redis: \"redis://{}\" }}\n{yaml}", port.address());
        let gateway = Arc::new(start(&yaml, &[("vendor", &vendor)]).await?);
        for _ in 0..8 {
            all_served(&gateway, all_at_once(&gateway)).await?;
            redis.restart().await?;
            all_served(&gateway, all_at_once(&gateway)).await?;
        }
        Ok(())
    })
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

#[test]
fn calls_one_after_the_other_are_not_held_up_and_what_they_find_is_shared_later() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        vendor.when("sk-one", spillway_tests::standin::Behaviour::Error(401));
        let gateway = start(&on_redis(&redis, YAML), &[("vendor", &vendor)]).await?;
        redis.freeze(true)?;
        for _ in 0..12 {
            served(&gateway, "m", "frozen").await?;
        }
        redis.freeze(false)?;
        until("a key that is out is out for everybody", async || {
            served(&gateway, "m", "thawed").await?;
            Ok(redis.everything()?.contains("out:").then_some(()))
        })
        .await
    })
}
